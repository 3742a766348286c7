// Invariant: the calls on one value and the handlers of one key run in the order in which they were made, however many are under
// way and whether values are in memory or not; what is in memory is bounded.
import { Deferred, SeededRandom, sleep, systemClock } from '@moraine/base'
import { float64, int64, json, listState, mapState, openKeyedState, reducingState, utf8, valueState } from '@moraine/keyed-state'
import { LatencyObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { MemoryObjectStore } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect, type Job, openJob, SMALL_ENGINE, states } from './keyed-job.ts'

describe('process', () => {
  test('runs handlers of one key in order and those of others at the same time', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job', { maxInFlight: 3 })
    const trace: string[] = []
    const gates = new Map<string, Deferred<void>>()
    const start = (key: string, n: number): Promise<void> => {
      const gate = new Deferred<void>()
      gates.set(`${key}${n}`, gate)
      return job.process(key, async () => {
        trace.push(`+${key}${n}`)
        await gate.promise
        trace.push(`-${key}${n}`)
      })
    }
    const all = [start('a', 1), start('a', 2), start('b', 1), start('c', 1), start('d', 1)]
    expect(trace).toEqual(['+a1', '+b1', '+c1'])
    gates.get('b1')?.resolve()
    await all[2]
    expect(trace).toEqual(['+a1', '+b1', '+c1', '-b1', '+d1'])
    for (const gate of gates.values()) gate.resolve()
    await Promise.all(all)
    expect(trace.indexOf('-a1')).toBeLessThan(trace.indexOf('+a2'))
    expect(job.stats().inFlight).toBe(0)
    await job.close()
  })

  test('a handler that fails fails its call only', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const outcomes = await Promise.allSettled([job.process('a', () => { throw new Error('first') }), job.process('a', async () => 'second')])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    await job.checkpoint()
    await job.close()
  })

  test('processMany keeps at most so many under way, and order per key', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job', { maxInFlight: 8 })
    const last = new Map<string, number>()
    let running = 0
    let most = 0
    const records = Array.from({ length: 400 }, (_, n) => ({ key: `key-${n % 13}`, n }))
    await job.processMany(records, ({ key }) => key, async ({ key, n }) => {
      most = Math.max(most, ++running)
      await sleep(systemClock, n % 3)
      expect(last.get(key) ?? -1).toBeLessThan(n)
      last.set(key, n)
      running--
    })
    expect(most).toBe(8)
    await expect(job.processMany(records, ({ key }) => key, ({ n }) => { if (n === 20) throw new Error('at 20') })).rejects.toThrow('at 20')
    await job.close()
  })
})

/** Answers no read while it is held. */
class HoldingStore extends WrappedObjectStore {
  held: Deferred<void> | undefined

  protected override async around<T>({ operation }: StoreCall, run: () => Promise<T>): Promise<T> {
    if (operation === 'get') await this.held?.promise
    return await run()
  }
}

/** Everything that was ever written has to be fetched again, with a delay. */
async function coldJob(entries: number): Promise<Job> {
  const inner = new MemoryObjectStore()
  const job = await openJob(inner, 'job')
  const own = states(job)
  for (let i = 0; i < entries; i++) {
    await own.count.of(`key-${i}`).set(BigInt(i))
    await own.seen.of(`key-${i}`).set('f', i)
    await own.max.of(`key-${i}`).add(i)
  }
  await job.checkpoint()
  await job.close()
  const store = new LatencyObjectStore(inner, { clock: systemClock, random: new SeededRandom(1), minMs: 1, maxMs: 3 })
  return await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, cacheEntries: 200, engine: { ...SMALL_ENGINE, blockCacheSizeBytes: 0 } })
}

describe('calls on values that have to be fetched', () => {
  test('run in the order of the calls', async () => {
    const job = await coldJob(100)
    const { count, seen, max } = states(job)
    const results = await Promise.all([
      count.of('key-7').get(),
      count.of('key-7').update((n) => (n ?? 0n) * 2n),
      count.of('key-7').update(async (n) => { await Promise.resolve(); return (n ?? 0n) + 1n }),
      count.of('key-7').get(),
      count.of('key-7').clear(),
      count.of('key-7').get(),
      count.of('key-7').set(1n),
      count.of('key-7').get(),
    ])
    expect(results).toEqual([7n, 14n, 15n, 15n, undefined, undefined, undefined, 1n])
    const map = await Promise.all([
      seen.of('key-7').get('f'),
      seen.of('key-7').set('g', 1),
      seen.of('key-7').clear(),
      seen.of('key-7').get('f'),
      seen.of('key-7').set('h', 2),
      seen.of('key-7').get('g'),
      seen.of('key-7').clear(),
      seen.of('key-7').set('i', 3),
      seen.of('key-7').has('h'),
    ])
    expect(map).toEqual([7, undefined, undefined, undefined, undefined, undefined, undefined, undefined, false])
    expect(await collect(seen.of('key-7').entries())).toEqual([['i', 3]])
    const merged = [max.of('key-8', 'a').add(5), max.of('key-8', 'b').add(9), max.mergeNamespaces('key-8', 'a', ['b']), max.of('key-8', 'b').add(1), max.of('key-8', 'a').get(), max.of('key-8', 'b').get()]
    expect((await Promise.all(merged)).slice(4)).toEqual([9, 1])
    await job.close()
  })

  test('entries that are set while a map is still being cleared stay, though they leave memory meanwhile', async () => {
    const inner = new MemoryObjectStore()
    let job = await openJob(inner, 'job')
    for (let i = 0; i < 3_000; i++) await states(job).seen.of('map').set(`field-${i}`, i)
    await job.checkpoint()
    await job.close()
    const store = new HoldingStore(inner)
    job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, cacheEntries: 2, engine: { ...SMALL_ENGINE, blockCacheSizeBytes: 0 } })
    const { seen, count } = states(job)
    // From here on filters are in memory, and nothing has to be fetched for keys that are not there.
    for (let i = 0; i < 20; i++) await count.of(`other-${i}`).get()
    // One that is in memory when the clear begins, and some that are not.
    expect(await seen.of('map').get('field-2999')).toBe(2_999)
    store.held = new Deferred()
    const cleared = seen.of('map').clear()
    const again = ['field-2999', 'field-2998', 'field-1500', 'field-2']
    await seen.of('map').set('field-2999', -1)
    // By now the clear has begun to look for what it is to delete.
    await sleep(systemClock, 5)
    await Promise.all(again.map((field) => seen.of('map').set(field, -1)))
    for (let i = 0; i < 20; i++) {
      await count.of(`other-${i}`).set(1n)
      await sleep(systemClock, 1)
    }
    expect(job.stats().cache.entries).toBeLessThan(4)
    store.held.resolve()
    await cleared
    expect((await collect(seen.of('map').entries())).map(([field]) => field)).toEqual(again.toSorted())
    await job.close()
  })

  test('many of them share one look into the database', async () => {
    const job = await coldJob(60)
    const { count, max } = states(job)
    const keys = Array.from({ length: 15 }, (_, i) => `key-${i}`)
    expect(count.of('key-3').getResident()).toBeUndefined()
    expect(count.of('key-3').updateResident((n) => n)).toBe(false)
    await job.prefetch(keys.slice(0, 5))
    expect(count.of('key-3').getResident()).toEqual({ value: 3n })
    expect(count.of('key-3').updateResident((n) => (n ?? 0n) + 100n)).toBe(true)
    expect(await count.getMany([...keys, 'nobody'])).toEqual([0n, 1n, 2n, 103n, 4n, 5n, 6n, 7n, 8n, 9n, 10n, 11n, 12n, 13n, 14n, undefined])
    await count.updateMany(['key-1', 'key-1', 'key-50', 'new'], (n) => (n ?? 0n) + 1n)
    expect(await count.getMany(['key-1', 'key-50', 'new'])).toEqual([3n, 51n, 1n])
    expect(await max.of('key-3').get()).toBe(3)
    await job.close()
  })
})

test('warmUp reads ahead what is asked for, so that later reads need no request', async () => {
  const inner = new MemoryObjectStore()
  let job = await openJob(inner, 'job')
  for (let i = 0; i < 500; i++) await states(job).count.of(`key-${i}`).set(BigInt(i))
  await job.checkpoint()
  await job.close()
  job = await openKeyedState({ store: inner, prefix: 'job' }, { keyCodec: utf8 })
  await job.warmUp({ states: ['count'] })
  const { requests } = job.stats().engine.store
  const { count } = states(job)
  for (let i = 0; i < 500; i++) expect(count.of(`key-${i}`).getResident()).toEqual({ value: BigInt(i) })
  expect(job.stats().engine.store.requests).toBe(requests)
  await expect(job.warmUp({ states: ['nobody'] })).rejects.toThrow(/no state 'nobody'/)
  await job.warmUp({ maxBytes: 10 })
  await job.close()
})

describe('the cache', () => {
  test('is bounded with state ten times as large, and nothing is lost', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job', { cacheEntries: 200 })
    const count = job.state(valueState('count', { codec: int64 }))
    const random = new SeededRandom(5)
    const model = new Map<string, bigint>()
    let most = 0
    for (let i = 0; i < 20_000; i++) {
      const key = `key-${random.below(2_000)}`
      model.set(key, (model.get(key) ?? 0n) + 1n)
      await count.of(key).update((n) => (n ?? 0n) + 1n)
      most = Math.max(most, job.stats().cache.entries)
      if (i % 6_000 === 0) await job.checkpoint()
    }
    expect(most).toBeLessThan(600)
    expect(job.stats().cache.evictions).toBeGreaterThan(5_000)
    for (const [key, n] of model) expect(await count.of(key).get()).toBe(n)
    await job.close()
  })

  test('keeps what a scan has written back until the engine has it, also while a checkpoint holds it back', async () => {
    const prepared = new Deferred<string>()
    const sink = { name: 'slow', prepare: () => prepared.promise, commit: () => {} }
    const job = await openJob(new MemoryObjectStore(), 'job', { cacheEntries: 2, sinks: [sink] })
    const { seen, count } = states(job)
    const churn = async (): Promise<void> => {
      for (let i = 0; i < 30; i++) await count.of(`other-${i}`).get()
    }
    await seen.of('a').set('f', 1)
    await churn()
    const taken = job.checkpoint()
    await seen.of('a').set('f', 2)
    const entries = collect(seen.of('a').entries())
    await churn()
    await sleep(systemClock, 5)
    await churn()
    expect(await seen.of('a').get('f')).toBe(2)
    prepared.resolve('transaction')
    await taken
    expect(await entries).toEqual([['f', 2]])
    await churn()
    expect(await seen.of('a').get('f')).toBe(2)
    await job.close()
  })

  test('counts what large values take', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job', { cacheSizeBytes: 1_000_000 })
    const text = job.state(valueState('text', { codec: json<{ text: string }>() }))
    for (let i = 0; i < 1_000; i++) await text.of(`key-${i}`).set({ text: 'x'.repeat(10_000) })
    expect(job.stats().cache.entries).toBeLessThan(100)
    for (let i = 0; i < 1_000; i += 97) expect((await text.of(`key-${i}`).get())?.text).toHaveLength(10_000)
    await job.close()
  })

  test('a value that came and went between two checkpoints leaves nothing', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    const count = job.state(valueState('count', { codec: int64 }))
    await job.checkpoint()
    const before = job.stats().engine.lastSequence
    for (let i = 0; i < 100; i++) {
      await count.of(`key-${i}`).set(1n)
      await count.of(`key-${i}`).clear()
    }
    await job.checkpoint()
    // The record, and the mark that comes and goes.
    expect(job.stats().engine.lastSequence - before).toBeLessThan(6)
    await job.close()
  })
})

test('namespaces are worlds of their own, of every type, and merge', async () => {
  const job = await openJob(new MemoryObjectStore(), 'job')
  const count = job.state(valueState('count', { codec: float64 }))
  const list = job.state(listState('list', { codec: float64 }))
  const seen = job.state(mapState('map', { keyCodec: float64, codec: float64 }))
  const sum = job.state(reducingState<number>('sum', { codec: float64, reduce: (a, b) => a + b }))
  const spaces = [undefined, 'w', '1', 1, 1n, -1.5, Uint8Array.of(1), ['w', 1], [['w'], 1], ['w1']]
  for (const [i, space] of spaces.entries()) {
    await count.of('a', space).set(i)
    await list.of('a', space).add(i)
    await seen.of('a', space).set(i, i)
    await sum.of('a', space).add(i)
  }
  for (const [i, space] of spaces.entries()) {
    expect(await count.of('a', space).get()).toBe(i)
    expect(await list.of('a', space).get()).toEqual([i])
    expect(await collect(seen.of('a', space).keys())).toEqual([i])
  }
  await sum.mergeNamespaces('a', 'w', ['1', 1, 'w', 'absent'])
  expect(await sum.of('a', 'w').get()).toBe(1 + 2 + 3)
  expect(await sum.of('a', '1').get()).toBeUndefined()
  await list.mergeNamespaces('a', 'w', ['1', 1])
  expect(await list.of('a', 'w').get()).toEqual([1, 2, 3])
  expect(await list.of('a', 1).get()).toEqual([])
  expect((await collect(count.keys())).map(({ namespace }) => namespace)).toHaveLength(spaces.length)
  for (const wrong of [null, {}, true, [undefined]]) await expect(count.of('a', wrong as never).get()).rejects.toMatchObject({ code: 'INVALID' })
  await job.close()
})
