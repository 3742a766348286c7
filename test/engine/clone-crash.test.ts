// Invariant: a clone that is cut off anywhere, or that meets a source on the move, harms no source, leaves nothing that
// looks like a whole database and is not one, and is finished by the same request; in the end the sources hold exactly the
// pins that the clone records.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore, type ObjectStore, PrefixedObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { CallScheduler, CutObjectStore, SimulatedClock } from '@moraine/testing'
import { clone, type CloneOptions, type CloneSourceSpec, collectGarbage, destroy, open } from 'moraine'
import { ManifestStore } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET } from './subject.ts'

/** The call of a clone of one database that asks whether the source has moved on. */
const LOOK = 6
const ALL = Object.fromEntries(numbered(0, 60))
const EVEN_SPLIT = ['key-000020', 'key-000040'] as const

async function make(store: ObjectStore, prefix: string, entries: readonly [string, string][]): Promise<void> {
  const db = await open({ store, prefix }, QUIET)
  await putAll(db, entries)
  await db.close()
}

async function read(store: ObjectStore, prefix: string): Promise<Record<string, string>> {
  const db = await open({ store, prefix }, { ...QUIET, createIfMissing: false })
  const found = await contents(db)
  await db.close()
  return found
}

async function pinsOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(`${prefix}/pin/`)).objects.map(({ key }) => key)
}

/** The pins that a database records, as full names in the one store of these tests. */
async function recordedPins(store: ObjectStore, prefix: string): Promise<string[]> {
  const manifests = new ManifestStore(new PrefixedObjectStore(store, prefix), { clock: new SimulatedClock(), random: new SeededRandom(1) })
  const newest = await manifests.readNewest()
  return (newest?.origins ?? []).map(({ origin, pin }) => `${origin.place.kind === 'sibling' ? origin.place.prefix : ''}/${pin}`).sort()
}

/** Writes every entry of a database anew, so that nothing of its tables is left, and collects. */
async function rewrite(store: ObjectStore, prefix: string): Promise<void> {
  const db = await open({ store, prefix }, QUIET)
  await putAll(db, Object.entries(await contents(db)))
  await db.compact()
  await db.detach()
  await db.close()
  // A short-lived owner: what the last one has written is now of an older epoch.
  await (await open({ store, prefix }, QUIET)).close()
  await collectGarbage({ store, prefix }, { graceMs: 0, force: true })
}

interface Scenario {
  readonly name: string
  readonly sources: readonly string[]
  prepare(store: MemoryObjectStore): Promise<void>
  run(store: ObjectStore, options?: CloneOptions): Promise<unknown>
}

const scenarios: readonly Scenario[] = [
  {
    name: 'a clone',
    sources: ['a'],
    prepare: (store) => make(store, 'a', numbered(0, 60)),
    run: (store, options) => clone({ store, prefix: 'a' }, { store, prefix: 'target' }, options),
  },
  {
    name: 'a union of parts that were written to',
    sources: ['a', 'p', 'q', 'r'],
    prepare: async (store) => {
      await make(store, 'a', numbered(0, 60))
      const [first, second] = EVEN_SPLIT
      const parts = { p: { lt: first }, q: { gte: first, lt: second }, r: { gte: second } }
      for (const [prefix, range] of Object.entries(parts)) {
        await clone({ store, prefix: 'a' }, { store, prefix }, { range })
      }
      const db = await open({ store, prefix: 'q' }, QUIET)
      await db.put('key-000030', ALL['key-000030'] as string)
      await db.close()
    },
    run: (store, options) =>
      clone(['p', 'q', 'r'].map((prefix): CloneSourceSpec => ({ location: { store, prefix } })), { store, prefix: 'target' }, options),
  },
]

describe('a clone that is cut off', () => {
  for (const scenario of scenarios) {
    test(`pitfall 5: ${scenario.name}, at every store call`, async () => {
      const probe = new MemoryObjectStore()
      await scenario.prepare(probe)
      const counting = new CutObjectStore(probe)
      await scenario.run(counting)
      const calls = counting.calls.length
      expect(calls).toBeGreaterThanOrEqual(8)
      for (let call = 1; call <= calls; call++) {
        for (const when of ['before', 'after'] as const) {
          const at = `${when} call ${call}, ${counting.calls[call - 1]}`
          const store = new MemoryObjectStore()
          await scenario.prepare(store)
          const before = Object.fromEntries(await Promise.all(scenario.sources.map(async (prefix) => [prefix, await pinsOf(store, prefix)])))
          const cut = new CutObjectStore(store, { call, when })
          void scenario.run(cut).catch(() => {})
          await cut.reached

          // Nobody can take half a clone for an empty location.
          const opened = await outcomeOf(open({ store, prefix: 'target' }, { ...QUIET, createIfMissing: false }).then((db) => db.close()))
          if (opened === 'ok') {
            expect(await read(store, 'target'), at).toEqual(ALL)
            continue
          }
          expect(opened, at).toBe('INVALID')
          if ((await store.get('target/identity')) !== undefined) {
            await expect(open({ store, prefix: 'target' }, QUIET), at).rejects.toThrow(/a clone was begun here/)
            await expect(clone({ store, prefix: 'a' }, { store, prefix: 'target' }, { range: { lt: 'x' } }), at).rejects.toThrow(/another clone was begun/)
          }
          // The source moves on before somebody tries again.
          const source = await open({ store, prefix: scenario.sources.at(-1) as string }, QUIET)
          await source.put('key-000059', ALL['key-000059'] as string)
          await source.close()
          await scenario.run(store)
          expect(await read(store, 'target'), at).toEqual(ALL)
          const held = (await Promise.all(scenario.sources.map((prefix) => pinsOf(store, prefix)))).flat()
          const others = new Set(Object.values(before).flat())
          expect(held.filter((pin) => !others.has(pin)).sort(), at).toEqual(await recordedPins(store, 'target'))
                }
      }
    })
  }

  test('pitfall 18: a half-made clone is destroyed with every pin it left, whatever call it was cut off at', async () => {
    const [, union] = scenarios as [Scenario, Scenario]
    for (let call = 10; ; call++) {
      const store = new MemoryObjectStore()
      await union.prepare(store)
      const before = (await Promise.all(union.sources.map((prefix) => pinsOf(store, prefix)))).flat()
      const cut = new CutObjectStore(store, { call, when: 'after' })
      const done = union.run(cut).then(() => 'done')
      if ((await Promise.race([done, cut.reached])) === 'done') break
      await destroy({ store, prefix: 'target' })
      expect((await store.list('target/')).objects, `call ${call}`).toEqual([])
      expect((await Promise.all(union.sources.map((prefix) => pinsOf(store, prefix)))).flat(), `call ${call}`).toEqual(before)
    }
  })

  test('a source is not destroyed while a clone refers to it, and is after the clone has gone', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 60))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    expect(await outcomeOf(destroy({ store, prefix: 'a' }))).toBe('CONFLICT')
    expect(await read(store, 'b')).toEqual(ALL)
    await destroy({ store, prefix: 'b' })
    await destroy({ store, prefix: 'a' })
    expect((await store.list('')).objects).toEqual([])
  })

  test('repeating a clone that was finished is fine while nothing has changed, and refused after', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 60))
    const run = (): Promise<unknown> => clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const report = await run()
    expect(await run()).toEqual(report)
    expect(await pinsOf(store, 'a')).toHaveLength(1)
    const source = await open({ store, prefix: 'a' }, QUIET)
    await source.close()
    expect(await outcomeOf(run())).toBe('INVALID')
    expect(await pinsOf(store, 'a')).toHaveLength(1)
  })
})

/** Lets something else happen to the store right before the n-th call, as another process would. */
class InterruptedStore extends WrappedObjectStore {
  calls = 0
  readonly #at: number
  readonly #interrupt: () => Promise<void>

  constructor(inner: ObjectStore, at: number, interrupt: () => Promise<void>) {
    super(inner)
    this.#at = at
    this.#interrupt = interrupt
  }

  protected override async around<T>(_call: StoreCall, run: () => Promise<T>): Promise<T> {
    if (++this.calls === this.#at) await this.#interrupt()
    return await run()
  }
}

describe('a source on the move', () => {
  for (const scenario of scenarios) {
    test(`pitfall 4: ${scenario.name}: a source is rewritten and collected before any one of its calls`, async () => {
      for (let at = 1; ; at++) {
        const store = new MemoryObjectStore()
        await scenario.prepare(store)
        const interrupted = new InterruptedStore(store, at, async () => {
          // The last source first: it may let go of what it was cloned from, which is then collected.
          for (const prefix of scenario.sources.toReversed()) await rewrite(store, prefix)
        })
        await scenario.run(interrupted)
        for (const prefix of scenario.sources.toReversed()) await rewrite(store, prefix)
        expect(await read(store, 'target'), `call ${at}`).toEqual(ALL)
        const held = (await Promise.all(scenario.sources.map((prefix) => pinsOf(store, prefix)))).flat()
        const recorded = await Promise.all([...scenario.sources, 'target'].map((prefix) => recordedPins(store, prefix)))
        expect(held.sort(), `call ${at}`).toEqual(recorded.flat().sort())
        if (interrupted.calls < at) break
      }
    })
  }

  test('pitfall 35: a source that goes back to borrowed tables and lets go of them, both while it is cloned', async () => {
    for (let second = 1; ; second++) {
      const store = new MemoryObjectStore()
      await make(store, 'a', numbered(0, 60))
      await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
      const b = { store, prefix: 'b' }
      const before = await open(b, QUIET)
      await before.checkpoint({ name: 'borrowed' })
      await before.compact()
      await before.close()
      let calls = 0
      class Interrupted extends WrappedObjectStore {
        protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
          calls++
          // Right before the look whether b has moved on.
          if (calls === LOOK) {
            expect(call.operation).toBe('list')
            const db = await open(b, QUIET)
            await db.restore('borrowed')
            await db.close()
          }
          if (calls === LOOK + second) {
            const db = await open(b, QUIET)
            await db.deleteCheckpoint('borrowed')
            await db.close()
            for (const prefix of ['b', 'a']) await rewrite(store, prefix)
          }
          return await run()
        }
      }
      const shared = new Interrupted(store)
      await clone({ store: shared, prefix: 'b' }, { store: shared, prefix: 'target' })
      if (calls < LOOK + second) break
      for (const prefix of ['b', 'a']) await rewrite(store, prefix)
      expect(await read(store, 'target'), `${second} calls later`).toEqual(ALL)
    }
  })

  test('one that commits before every single call is cloned all the same', async () => {
    const inner = new MemoryObjectStore()
    await make(inner, 'a', numbered(0, 60))
    const source = await open({ store: inner, prefix: 'a' }, QUIET)
    let busy = 0
    class Busy extends WrappedObjectStore {
      protected override async around<T>(_call: StoreCall, run: () => Promise<T>): Promise<T> {
        await source.put('counter', String(++busy))
        await source.flush()
        return await run()
      }
    }
    const store = new Busy(inner)
    await clone({ store, prefix: 'a' }, { store, prefix: 'c' })
    const { counter, ...rest } = await read(inner, 'c')
    expect(rest).toEqual(ALL)
    expect(Number(counter)).toBeGreaterThan(0)
    expect(await pinsOf(inner, 'a')).toEqual(await recordedPins(inner, 'c'))
    await source.close()
  })
})

describe('two clones to one target', () => {
  test('one is made, and no pin is left but its own', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed)
      const store = new MemoryObjectStore()
      await make(store, 'a', numbered(0, 60))
      const scheduler = new CallScheduler(store)
      const outcomes: string[] = []
      for (const who of ['x', 'y']) {
        const shared = scheduler.storeFor(who)
        const options = { clock: new SimulatedClock(), random: new SeededRandom(seed * 10 + who.charCodeAt(0)) }
        void outcomeOf(clone({ store: shared, prefix: 'a' }, { store: shared, prefix: 'b' }, options)).then((code) => outcomes.push(code))
      }
      for (;;) {
        const waiting = await scheduler.waiting()
        if (waiting.length === 0) break
        scheduler.step(waiting.length === 1 ? 0 : random.below(waiting.length))
      }
      scheduler.release()
      expect(outcomes, `seed ${seed}`).toHaveLength(2)
      expect(outcomes, `seed ${seed}`).toContain('ok')
      for (const code of outcomes) expect(['ok', 'CONFLICT'], `seed ${seed}`).toContain(code)
      expect(await pinsOf(store, 'a'), `seed ${seed}`).toEqual(await recordedPins(store, 'b'))
      expect(await read(store, 'b')).toEqual(ALL)
    }
  })
})
