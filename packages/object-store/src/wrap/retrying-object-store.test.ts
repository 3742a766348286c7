// Invariant: passing failures are repeated with growing waits, other failures and creates never are, and a server that
// asks to slow down is asked less until it recovers.
import { getEventListeners } from 'node:events'
import { type Clock, MoraineError, SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../memory/memory-object-store.ts'
import { type FaultPlan, FaultyObjectStore, slowDownError } from './faulty-object-store.ts'
import { RetryingObjectStore, type RetryingObjectStoreOptions } from './retrying-object-store.ts'

function recordingClock(): Clock & { readonly delays: number[] } {
  const delays: number[] = []
  return {
    delays,
    nowMs: () => 0,
    monotonicMs: () => 0,
    setTimer(delayMs, fire) {
      delays.push(delayMs)
      const handle = setImmediate(fire)
      return { cancel: () => clearImmediate(handle) }
    },
    yieldNow: () => Promise.resolve(),
  }
}

function setUp(plan: FaultPlan, options: Partial<RetryingObjectStoreOptions> = {}): {
  clock: ReturnType<typeof recordingClock>
  bucket: MemoryObjectStore
  store: RetryingObjectStore
} {
  const clock = recordingClock()
  const bucket = new MemoryObjectStore({ clock })
  const faulty = new FaultyObjectStore(bucket, plan, { clock })
  return { clock, bucket, store: new RetryingObjectStore(faulty, { clock, random: new SeededRandom(1), ...options }) }
}

describe('RetryingObjectStore', () => {
  it('pitfall 15: repeats a read whose body was cut', async () => {
    const { bucket, store } = setUp((operation, _, n) => (operation === 'get' && n < 2 ? { kind: 'cutBody' } : undefined))
    await bucket.put('a', utf8Encode('whole'))
    expect((await store.get('a'))?.bytes).toEqual(utf8Encode('whole'))
  })

  it('waits longer from try to try, jittered, up to the bound, and gives up with the last error', async () => {
    const { clock, store } = setUp(() => ({ kind: 'fail' }), { attempts: 8, baseDelayMs: 100, maxDelayMs: 1_000 })
    await expect(store.head('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const bounds = [100, 200, 400, 800, 1_000, 1_000, 1_000]
    expect(clock.delays).toHaveLength(bounds.length)
    for (const [i, bound] of bounds.entries()) {
      expect(clock.delays[i]).toBeGreaterThanOrEqual(bound / 2)
      expect(clock.delays[i]).toBeLessThanOrEqual(bound)
    }
    expect(new Set(clock.delays).size).toBe(bounds.length)
  })

  it('pitfall 6: never repeats a create', async () => {
    let tries = 0
    const { store } = setUp(() => {
      tries++
      return { kind: 'loseReply' }
    })
    await expect(store.put('a', utf8Encode('x'), { ifAbsent: true })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(tries).toBe(1)
  })

  it('repeats other writes with the same bytes', async () => {
    const { bucket, store } = setUp((_, __, n) => (n < 3 ? { kind: 'loseReply' } : undefined))
    expect(await store.put('a', utf8Encode('x'))).toBe('created')
    await store.delete('a')
    expect(await bucket.get('a')).toBeUndefined()
  })

  it.each(['INVALID', 'CORRUPTION', 'CLOSED', 'UNAVAILABLE'] as const)('does not repeat %s that is not retryable', async (code) => {
    let tries = 0
    const error = new MoraineError(code, 'no')
    const { store } = setUp(() => {
      tries++
      return { kind: 'fail', error }
    })
    await expect(store.list('a')).rejects.toBe(error)
    expect(tries).toBe(1)
  })

  it('stops waiting when the signal fires', async () => {
    const controller = new AbortController()
    const { store } = setUp((_, __, n) => {
      if (n === 3) controller.abort()
      return { kind: 'fail' }
    }, { attempts: 1_000 })
    await expect(store.get('a', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })

  it('pitfall 14: in a storm of 503 nothing is lost, fewer calls go out, and the limit recovers', async () => {
    const random = new SeededRandom(9)
    let storm = true
    let refused = 0
    const plan: FaultPlan = () => {
      if (!storm || !random.chance(0.1)) return undefined
      refused++
      return { kind: 'fail', error: slowDownError() }
    }
    const { bucket, store } = setUp(plan, { attempts: 10, maxConcurrency: 32 })
    const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key) => store.put(key, utf8Encode(key))))
    expect(refused).toBeGreaterThan(100)
    expect(store.concurrencyLimit).toBeLessThan(32)
    for (const key of keys) expect((await bucket.get(key))?.bytes).toEqual(utf8Encode(key))
    storm = false
    await Promise.all(keys.map((key) => store.get(key)))
    expect(store.concurrencyLimit).toBe(32)
  })

  it('pitfall 22: closing frees the calls that wait for their turn', async () => {
    const never = new Promise<void>(() => {})
    const { store } = setUp(() => ({ kind: 'delay', until: never }), { maxConcurrency: 1 })
    store.get('running').catch(() => {})
    const waiting = store.get('waiting')
    await store.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(store.get('later')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('calls that wait for their turn have one listener on the signal they share', async () => {
    let answer!: () => void
    const until = new Promise<void>((resolve) => (answer = resolve))
    const { store } = setUp(() => ({ kind: 'delay', until }), { maxConcurrency: 1 })
    const { signal } = new AbortController()
    const calls = Array.from({ length: 20 }, (_, i) => store.get(`key-${i}`, { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    answer()
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('a call that is aborted while it waits for its turn gives it up', async () => {
    const { store } = setUp((_, key) => (key === 'running' ? { kind: 'delay', until: new Promise(() => {}) } : undefined), { maxConcurrency: 1 })
    const first = new AbortController()
    const running = store.get('running', { signal: first.signal })
    const second = new AbortController()
    const waiting = store.get('waiting', { signal: second.signal })
    const third = store.get('third')
    second.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    first.abort()
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await third).toBeUndefined()
  })
})
