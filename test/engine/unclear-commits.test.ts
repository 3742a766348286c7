// Invariant: a create whose outcome is unclear is settled by repeating the identical bytes: no manifest number is skipped
// or used twice, no write is lost or applied twice, and a writer never takes its own manifest for somebody else's.
import { SeededRandom } from '@moraine/base'
import {
  conflictError,
  FaultyObjectStore,
  lostConnectionError,
  MemoryObjectStore,
  type ObjectSource,
  type PutOptions,
  type PutOutcome,
  type StoreFault,
} from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type Db, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET } from './subject.ts'

type Fault = (clock: SimulatedClock) => StoreFault

const FAULTS: Record<string, Fault> = {
  'pitfall 6: the reply is lost': () => ({ kind: 'loseReply' }),
  'pitfall 7: it is applied a second later': () => ({ kind: 'applyLater', delayMs: 1_000 }),
  'pitfall 7: it is applied a minute later': () => ({ kind: 'applyLater', delayMs: 60_000 }),
  'pitfall 8: 409 before it is applied': () => ({ kind: 'fail', error: conflictError() }),
  'pitfall 8: 409 after it was applied': () => ({ kind: 'loseReply', error: conflictError() }),
  '503 before it is applied': () => ({ kind: 'fail' }),
}

async function manifestIds(store: MemoryObjectStore): Promise<number[]> {
  const page = await store.list('manifest/')
  return page.objects.map(({ key }) => Number(key.slice(-15))).sort((a, b) => a - b)
}

interface Stage {
  readonly inner: MemoryObjectStore
  readonly store: FaultyObjectStore
  readonly clock: SimulatedClock
}

/** A request that has left the machine happens whatever its sender thinks of it by then. */
class DistantStore extends MemoryObjectStore {
  override put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    return super.put(key, body, { ifAbsent: options?.ifAbsent })
  }
}

function stage(): Stage {
  const clock = new SimulatedClock()
  const inner = new DistantStore({ clock })
  return { inner, clock, store: new FaultyObjectStore(inner, () => undefined, { clock }) }
}

describe('an unclear manifest create', () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    for (const times of [1, 3]) {
      test(`${name}, ${times} times`, async () => {
        const { inner, store, clock } = stage()
        const db = await open({ store }, { ...QUIET, clock })
        const fenced: unknown[] = []
        db.on('fenced', (event) => fenced.push(event))
        await db.put('a', '1', { durability: 'store' })
        const first = db.stats().manifestId
        store.plan = (operation, key, n) =>
          operation === 'put' && key.startsWith('manifest/') && n < times ? fault(clock) : undefined
        await clock.drive(db.put('b', '2', { durability: 'store' }))
        await clock.drive(db.put('c', '3', { durability: 'store' }))
        expect(db.stats().manifestId).toBe(first + 2)
        await clock.advance(120_000)
        await store.lateCallsDone()
        await clock.drive(db.close())
        expect(fenced).toEqual([])
        const ids = await manifestIds(inner)
        expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => i + 1))
        const again = await open({ store: inner }, { ...QUIET, clock })
        expect(await contents(again)).toEqual({ a: '1', b: '2', c: '3' })
        expect(again.stats().lastSequence).toBe(3)
        expect(again.stats().files).toBe(3)
        await again.close()
      })
    }
  }

  test('the outage begins between the create and the listing after it: the writer waits, it does not fence itself', async () => {
    const { inner, store, clock } = stage()
    const db = await open({ store }, { ...QUIET, clock })
    const fenced: unknown[] = []
    const errors: boolean[] = []
    db.on('fenced', (event) => fenced.push(event))
    db.on('error', ({ willRetry }) => errors.push(willRetry))
    let created = false
    store.plan = (operation, key) => {
      if (created) return { kind: 'fail', error: lostConnectionError() }
      if (operation === 'put' && key.startsWith('manifest/')) created = true
      return undefined
    }
    const pending = db.put('a', '1', { durability: 'store' })
    pending.catch(() => {})
    await clock.advance(300_000)
    store.plan = () => undefined
    await clock.drive(pending)
    await clock.drive(db.put('b', '2', { durability: 'store' }))
    expect(fenced).toEqual([])
    expect(errors).not.toContain(false)
    await clock.drive(db.close())
    const again = await open({ store: inner }, { ...QUIET, clock })
    expect(await contents(again)).toEqual({ a: '1', b: '2' })
    expect(again.stats().files).toBe(2)
    await again.close()
  })

  test('credentials expire in the middle of an unclear create: what it becomes afterwards is still one commit', async () => {
    const { inner, store, clock } = stage()
    const db = await open({ store }, { ...QUIET, clock })
    const refused = (): StoreFault => {
      const error = lostConnectionError()
      return { kind: 'fail', error: Object.assign(error, { detail: { retryable: false, ambiguous: false, status: 403 } }) }
    }
    let state: 'fine' | 'lose' | 'refuse' = 'lose'
    store.plan = (operation, key) => {
      if (state === 'refuse') return refused()
      if (state === 'lose' && operation === 'put' && key.startsWith('manifest/')) {
        state = 'refuse'
        return { kind: 'loseReply' }
      }
      return undefined
    }
    const pending = db.put('a', '1', { durability: 'store' })
    pending.catch(() => {})
    await clock.advance(60_000)
    state = 'fine'
    await clock.drive(pending)
    await clock.drive(db.close())
    const again = await open({ store: inner }, { ...QUIET, clock })
    expect(await contents(again)).toEqual({ a: '1' })
    expect(again.stats().files).toBe(1)
    await again.close()
  })

  test('closing gives an unclear commit up; if it lands later, the next owner is not disturbed', async () => {
    for (const delayMs of [40_000, 100_000]) {
      const { inner, store, clock } = stage()
      const db = await open({ store }, { ...QUIET, clock, closeTimeoutMs: 10_000 })
      store.plan = (operation, key) =>
        operation === 'put' && key.startsWith('manifest/') ? { kind: 'applyLater', delayMs } : undefined
      await db.put('a', '1')
      expect(await clock.drive(outcomeOf(db.close()))).toBe('UNAVAILABLE')
      store.plan = () => undefined
      if (delayMs < 60_000) await clock.advance(60_000)
      const next = await open({ store: inner }, { ...QUIET, clock })
      await next.put('b', '2', { durability: 'store' })
      await clock.advance(200_000)
      await store.lateCallsDone()
      await next.put('c', '3', { durability: 'store' })
      // Landed before the next owner looked: then it is part of history. After: it never happened.
      expect(await contents(next)).toEqual(delayMs < 60_000 ? { a: '1', b: '2', c: '3' } : { b: '2', c: '3' })
      await next.close()
    }
  })

  test('many unclear creates, late and early, by seed: one history without gaps', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed)
      const { inner, store, clock } = stage()
      const faults = Object.values(FAULTS)
      let db: Db = await open({ store }, { ...QUIET, clock, random })
      store.plan = () => (random.chance(0.3) ? random.pick(faults)(clock) : undefined)
      const expected: Record<string, string> = {}
      for (let i = 0; i < 15; i++) {
        expected[`k${i}`] = String(i)
        await clock.drive(db.put(`k${i}`, String(i), { durability: 'store' }))
        if (random.chance(0.2)) {
          await clock.drive(db.close())
          db = await clock.drive(reopened(store, clock, random))
        }
      }
      await clock.drive(db.close())
      store.plan = () => undefined
      await clock.advance(200_000)
      const again = await open({ store: inner }, { ...QUIET, clock })
      expect(await contents(again), `seed ${seed}`).toEqual(expected)
      expect(again.stats().lastSequence, `seed ${seed}`).toBe(15)
      await again.close()
    }
  })
})

/** An opening may be refused by a store that does not answer; then it is tried again. */
async function reopened(store: FaultyObjectStore, clock: SimulatedClock, random: SeededRandom): Promise<Db> {
  for (;;) {
    try {
      return await open({ store }, { ...QUIET, clock, random })
    } catch (error) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    }
  }
}

describe('an unclear identity', () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    for (const calls of [[0], [1], [0, 1, 2]]) {
      test(`${name}, put ${calls.join(' and ')}: one database, one identity`, async () => {
        const { inner, store, clock } = stage()
        store.plan = (operation, key, n) =>
          operation === 'put' && key === 'identity' && calls.includes(n) ? fault(clock) : undefined
        const db = await clock.drive(open({ store }, { ...QUIET, clock }))
        await db.put('a', '1', { durability: 'store' })
        await clock.advance(120_000)
        const identity = new TextDecoder().decode((await inner.get('identity'))?.bytes)
        expect(identity).toContain(db.stats().databaseId)
        await clock.drive(db.close())
        const again = await open({ store: inner }, { ...QUIET, clock })
        expect(await contents(again)).toEqual({ a: '1' })
        await again.close()
      })
    }
  }
})
