// Invariant: createExactly says `created` if and only if the object holds our bytes, whatever happens to requests and
// replies on the way; while it cannot know, it does not answer.
import { type Clock, MoraineError, SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { createExactly } from './create-exactly.ts'
import { MemoryObjectStore } from './memory/memory-object-store.ts'
import { conflictError, type FaultPlan, FaultyObjectStore, lostConnectionError, slowDownError } from './wrap/faulty-object-store.ts'

const OURS = utf8Encode('ours: token 1')
const THEIRS = utf8Encode('theirs: token 2')

/** Time passes only by sleeping, and sleeping takes no time. */
function sleepingClock(): Clock {
  let nowMs = 1_000
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer(delayMs, fire) {
      const handle = setImmediate(() => {
        nowMs += delayMs
        fire()
      })
      return { cancel: () => clearImmediate(handle) }
    },
    yieldNow: () => Promise.resolve(),
  }
}

function setUp(plan: FaultPlan): { bucket: MemoryObjectStore; store: FaultyObjectStore; clock: Clock; options: { clock: Clock; random: SeededRandom } } {
  const clock = sleepingClock()
  const bucket = new MemoryObjectStore({ clock })
  return { bucket, store: new FaultyObjectStore(bucket, plan, { clock }), clock, options: { clock, random: new SeededRandom(1) } }
}

describe('createExactly', () => {
  it('pitfall 6: a create whose reply was lost is ours', async () => {
    const { bucket, store, options } = setUp((operation, _, n) => (operation === 'put' && n === 0 ? { kind: 'loseReply' } : undefined))
    expect(await createExactly(store, 'm', OURS, options)).toBe('created')
    expect((await bucket.get('m'))?.bytes).toEqual(OURS)
  })

  it('pitfall 6: a 412 that is the echo of our own retried try is ours', async () => {
    const { bucket, store, options } = setUp(() => undefined)
    await bucket.put('m', OURS)
    expect(await createExactly(store, 'm', OURS, options)).toBe('created')
  })

  it('tells the object of somebody else, also when our own try failed', async () => {
    const { bucket, store, options } = setUp((operation, _, n) => (operation === 'put' && n === 0 ? { kind: 'fail' } : undefined))
    await bucket.put('m', THEIRS)
    expect(await createExactly(store, 'm', OURS, options)).toBe('exists')
    expect((await bucket.get('m'))?.bytes).toEqual(THEIRS)
  })

  it('pitfall 7: a create that lands after the client gave up is ours, and is not followed by another name', async () => {
    let land = (): void => {}
    const landed = new Promise<void>((resolve) => (land = resolve))
    const { bucket, store, options } = setUp((operation, _, n) => {
      if (operation !== 'put') return undefined
      if (n === 0) return { kind: 'applyLater', until: landed }
      if (n < 4) return { kind: 'fail' }
      land()
      return { kind: 'delay', delayMs: 10 }
    })
    expect(await createExactly(store, 'm', OURS, options)).toBe('created')
    await store.lateCallsDone()
    expect((await bucket.get('m'))?.bytes).toEqual(OURS)
    expect((await bucket.list('')).objects).toHaveLength(1)
  })

  it('pitfall 7: not finding the object proves nothing: the identical bytes are sent again', async () => {
    const sent: Uint8Array[] = []
    const { store, options } = setUp((operation, _, n) => (operation === 'put' && n < 5 ? { kind: 'fail', error: lostConnectionError() } : undefined))
    const put = store.put.bind(store)
    store.put = (key, body, putOptions) => {
      sent.push((body as Uint8Array).slice())
      return put(key, body, putOptions)
    }
    expect(await createExactly(store, 'm', OURS, options)).toBe('created')
    expect(sent).toEqual(Array.from({ length: 6 }, () => OURS))
  })

  it.each([
    ['before', { kind: 'fail', error: conflictError() }, 'created'],
    ['after', { kind: 'loseReply', error: conflictError() }, 'created'],
  ] as const)('pitfall 8: a 409 %s the object appears is not an answer', async (_, fault, outcome) => {
    const { bucket, store, options } = setUp((operation, __, n) => (operation === 'put' && n < 2 ? fault : undefined))
    expect(await createExactly(store, 'm', OURS, options)).toBe(outcome)
    expect((await bucket.get('m'))?.bytes).toEqual(OURS)
  })

  it('goes on when reading back fails', async () => {
    const { store, options } = setUp((operation, _, n) => {
      if (operation === 'put' && n === 0) return { kind: 'loseReply' }
      return operation === 'get' && n < 3 ? { kind: 'fail', error: slowDownError() } : undefined
    })
    expect(await createExactly(store, 'm', OURS, options)).toBe('created')
  })

  it('of two creators under random faults exactly one is told it created, and its bytes are there', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new SeededRandom(seed)
      const { bucket, store, clock } = setUp((operation) => {
        if (!random.chance(0.6)) return undefined
        if (operation === 'get') return { kind: 'fail' }
        return random.pick([
          { kind: 'fail' },
          { kind: 'loseReply' },
          { kind: 'loseReply', error: conflictError() },
          { kind: 'applyLater', delayMs: random.below(400) },
          { kind: 'delay', delayMs: random.below(400) },
        ] as const)
      })
      const outcomes = await Promise.all([OURS, THEIRS].map((bytes) => createExactly(store, 'm', bytes, { clock, random })))
      await store.lateCallsDone()
      expect(outcomes.toSorted(), `seed ${seed}`).toEqual(['created', 'exists'])
      expect((await bucket.get('m'))?.bytes, `seed ${seed}`).toEqual(outcomes[0] === 'created' ? OURS : THEIRS)
    }
  })

  it('rejects with the reason of its signal, however often it tried', async () => {
    const controller = new AbortController()
    const fenced = new MoraineError('FENCED', 'taken over')
    const { store, options } = setUp((operation, _, n) => {
      if (n === 20) controller.abort(fenced)
      return operation === 'put' ? { kind: 'fail' } : undefined
    })
    await expect(createExactly(store, 'm', OURS, { ...options, signal: controller.signal })).rejects.toBe(fenced)
  })

  it('gives up at the deadline and says that the outcome is open', async () => {
    const { store, clock, options } = setUp((operation) => (operation === 'put' ? { kind: 'fail' } : undefined))
    const creating = createExactly(store, 'm', OURS, { ...options, deadlineMs: clock.monotonicMs() + 60_000 })
    await expect(creating).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { ambiguous: true, key: 'm' } })
    expect(clock.monotonicMs()).toBeLessThanOrEqual(61_000)
  })

  it('passes a plain refusal on, but not as if nothing had been written after an ambiguous try', async () => {
    const refused = new MoraineError('INVALID', 'access is denied')
    const always = setUp(() => ({ kind: 'fail', error: refused }))
    await expect(createExactly(always.store, 'm', OURS, always.options)).rejects.toBe(refused)
    const later = setUp((operation, _, n) => (operation === 'put' && n === 0 ? { kind: 'fail' } : { kind: 'fail', error: refused }))
    await expect(createExactly(later.store, 'm', OURS, later.options)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      detail: { ambiguous: true },
      cause: refused,
    })
  })
})
