// Invariant: state, timers and source offsets are always of one moment, the moment of a completed checkpoint. One test for each
// rule that the design states about it.
import { Deferred, type MoraineError, systemClock, utf8Encode } from '@moraine/base'
import { json, type KeyedStateBackend, keyGroupOf, openKeyedState, rescaleKeyedState, utf8, valueState } from '@moraine/keyed-state'
import { FaultyObjectStore, WrappedObjectStore } from '@moraine/object-store'
import { clone, type CostStats, MemoryObjectStore, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect, type Job, openJob, states } from './keyed-job.ts'

const BIG = 'x'.repeat(10_000)

/** Writes more than a memtable, so that it is flushed. */
async function overflow(job: Job): Promise<void> {
  const { log } = states(job)
  for (let i = 0; i < 40; i++) await log.of('overflow').add({ n: i, text: BIG } as { n: number })
}

/** What an opening asks of the store; a compaction that the background has begun meanwhile is not part of it. */
function openingRequests({ byPurpose }: CostStats): number {
  const { compaction: _, gc: __, ...others } = byPurpose
  return Object.values(others).reduce((sum, { requests }) => sum + Object.values(requests).reduce((all, count) => all + count, 0), 0)
}

describe('opening', () => {
  test('pitfall 34: what was flushed after the newest checkpoint is given up, after a kill and after a close', async () => {
    for (const end of ['kill', 'close']) {
      const store = new MemoryObjectStore()
      const job = await openJob(store, 'job')
      const { count } = states(job)
      await count.of('a').set(1n)
      const { id } = await job.checkpoint({ metadata: { offset: 1 } })
      await count.of('a').set(2n)
      await count.of('b').set(2n)
      await job.timers.register({ key: 'a', time: 5, domain: 'event' })
      await job.advanceWatermark(3)
      await overflow(job)
      if (end === 'close') await job.close()
      const next = await openJob(store, 'job')
      const own = states(next)
      expect(next.restored).toEqual({ checkpointId: id, metadata: { offset: 1 }, sources: [] })
      expect(next.watermark).toBeUndefined()
      expect(await own.count.of('a').get()).toBe(1n)
      expect(await own.count.of('b').get()).toBeUndefined()
      expect(await own.log.of('overflow').get()).toEqual([])
      // Nothing is due, so nothing is missed without a handler.
      await next.advanceWatermark(100)
      await next.close()
      await job.close().catch(() => {})
    }
  })

  test('a database that crashed before its first checkpoint starts empty', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    await states(job).count.of('a').set(1n)
    await overflow(job)
    await job.close()
    const next = await openJob(store, 'job')
    expect(next.restored).toBeUndefined()
    expect(await next.checkpoints()).toEqual([])
    expect(await states(next).count.of('a').get()).toBeUndefined()
    expect(await states(next).log.of('overflow').get()).toEqual([])
    await next.close()
  })

  test('an older checkpoint can be asked for, and what is newest afterwards is what comes after it', async () => {
    const store = new MemoryObjectStore()
    let job = await openJob(store, 'job')
    await states(job).count.of('a').set(1n)
    await job.checkpoint({ metadata: 1, name: 'first' })
    await states(job).count.of('a').set(2n)
    const second = await job.checkpoint({ metadata: 2 })
    await job.close()
    job = await openJob(store, 'job', { checkpoint: 'first' })
    expect(job.restored?.metadata).toBe(1)
    expect(await states(job).count.of('a').get()).toBe(1n)
    await states(job).count.of('a').set(10n)
    const third = await job.checkpoint({ metadata: 3 })
    expect(third.number).toBeGreaterThan(second.number)
    await job.close()
    job = await openJob(store, 'job')
    expect(job.restored?.metadata).toBe(3)
    expect(await states(job).count.of('a').get()).toBe(10n)
    await job.close()
    await expect(openJob(store, 'job', { checkpoint: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('there is no write-ahead log', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    await states(job).count.of('a').set(1n)
    await job.checkpoint()
    expect((await store.list('job/wal')).objects).toEqual([])
    expect(job.stats().engine.wal).toMatchObject({ kind: 'none' })
    await job.close()
  })

  test('it takes a few requests, whatever the size of the state', async () => {
    const requests: number[] = []
    for (const size of [10, 4_000]) {
      const store = new MemoryObjectStore()
      const job = await openJob(store, 'job')
      const { log } = states(job)
      for (let i = 0; i < size; i++) await log.of(`key-${i % 50}`).add({ n: i, text: 'y'.repeat(400) } as { n: number })
      await job.checkpoint()
      await job.close()
      const next = await openJob(store, 'job')
      requests.push(openingRequests(next.stats().engine.cost))
      expect((await states(next).log.of('key-7').get()).length).toBe(size === 10 ? 1 : 80)
      await next.close()
    }
    expect(Math.max(...requests)).toBeLessThanOrEqual(15)
    expect((requests[1] as number) - (requests[0] as number)).toBeLessThanOrEqual(4)
  })
})

describe('a checkpoint', () => {
  test('has what was called before it, also what was under way, and nothing that was called after it', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    const { count, log, seen } = states(job)
    const running = new Deferred<void>()
    const handled = job.process('a', async () => {
      await running.promise
      await count.of('a').set(1n)
      await log.of('a').add({ n: 1 })
      await seen.of('a').set('x', 1)
      await job.timers.register({ key: 'a', time: 1, domain: 'event' })
    })
    void count.of('b').update(() => 1n)
    const taken = job.checkpoint({ metadata: 'before' })
    const after = [
      count.of('a').set(2n),
      count.of('b').set(2n),
      log.of('a').add({ n: 2 }),
      seen.of('a').set('y', 2),
      job.timers.register({ key: 'a', time: 2, domain: 'event' }),
    ]
    running.resolve()
    await handled
    await Promise.all([taken, ...after])
    expect(await count.of('a').get()).toBe(2n)
    await job.close()
    const next = await openJob(store, 'job')
    const own = states(next)
    expect(await own.count.of('a').get()).toBe(1n)
    expect(await own.count.of('b').get()).toBe(1n)
    expect(await own.log.of('a').get()).toEqual([{ n: 1 }])
    expect(await collect(own.seen.of('a').entries())).toEqual([['x', 1]])
    const fired: number[] = []
    next.timers.onTimer(({ time }) => void fired.push(time))
    await next.advanceWatermark(10)
    expect(fired).toEqual([1])
    await next.close()
  })

  test('two in a row draw two lines, though the first is still being stored', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    const { count } = states(job)
    const all: Promise<unknown>[] = []
    for (let i = 1; i <= 3; i++) {
      all.push(count.of('a').set(BigInt(i)))
      all.push(job.checkpoint({ name: `line-${i}`, metadata: i }))
      all.push(count.of('a').set(BigInt(i * 100)))
    }
    await Promise.all(all)
    await job.close()
    for (let i = 1; i <= 3; i++) {
      const at = await openJob(store, 'job', { checkpoint: `line-${i}` })
      expect(at.restored?.metadata).toBe(i)
      expect(await states(at).count.of('a').get()).toBe(BigInt(i))
      await at.close()
    }
  })

  test('is not changed by what happens to objects after it, whoever holds them', async () => {
    const store = new MemoryObjectStore()
    const job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    const profile = job.state(valueState('profile', { codec: json<{ n: number }>() }))
    const kept = { n: 1 }
    await profile.of('kept').set(kept)
    await profile.of('got').update(() => ({ n: 1 }))
    const got = (await profile.of('got').get()) as { n: number }
    await profile.of('updated').update(() => ({ n: 1 }))
    const taken = job.checkpoint()
    kept.n = 2
    got.n = 2
    await profile.of('got').set(got)
    await profile.of('updated').update((value) => {
      if (value !== undefined) value.n = 2
      return value
    })
    await taken
    await job.close()
    const next = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    const restored = next.state(valueState('profile', { codec: json<{ n: number }>() }))
    for (const key of ['kept', 'got', 'updated']) expect(await restored.of(key).get(), key).toEqual({ n: 1 })
    await next.close()
  })

  test('encodes after the state has gone on: the pause encodes nothing', async () => {
    let encoded = 0
    const counting = { name: 'counting', version: 1, encode: (n: number) => (encoded++, Uint8Array.of(n)), decode: (b: Uint8Array) => b[0] as number, check: () => {} }
    const job = await openKeyedState({ store: new MemoryObjectStore(), prefix: 'job' }, { keyCodec: utf8 })
    const state = job.state(valueState('state', { codec: counting }))
    for (let i = 0; i < 1_000; i++) await state.of(`key-${i}`).set(1)
    const taken = job.checkpoint({ metadata: () => encoded })
    expect(encoded).toBe(0)
    // The gate is open again in the same turn.
    expect(state.of('key-1').updateResident((n) => (n ?? 0) + 1)).toBe(true)
    expect(encoded).toBe(1)
    expect((await taken).metadata).toBe(0)
    expect(encoded).toBe(1_000)
    await job.checkpoint()
    expect(encoded).toBe(1_001)
    await job.close()
  })

  test('metadata that JSON cannot carry is INVALID, and nothing has changed', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    await states(job).count.of('a').set(1n)
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    for (const metadata of [cycle, 5n, () => cycle, { at: new Date(0) }, { f: () => 1 }, [Number.NaN], { deep: [new Map()] }]) {
      await expect(job.checkpoint({ metadata: metadata as never })).rejects.toMatchObject({ code: 'INVALID' })
    }
    expect(await job.checkpoints()).toEqual([])
    await states(job).count.of('a').set(2n)
    await job.checkpoint({ metadata: { fine: true } })
    await job.close()
    const next = await openJob(store, 'job')
    expect(await states(next).count.of('a').get()).toBe(2n)
    await next.close()
  })

  test('that fails leaves the job running and the next one correct', async () => {
    const store = new MemoryObjectStore()
    const job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    let broken = false
    const fragile = { name: 'fragile', version: 1, encode: (n: number) => { if (broken && n === 7) throw new Error('no sevens'); return Uint8Array.of(n) }, decode: (b: Uint8Array) => b[0] as number, check: () => {} }
    const state = job.state(valueState('state', { codec: fragile }))
    for (let i = 0; i < 20; i++) await state.of(`key-${i}`).set(i)
    await job.checkpoint({ metadata: 1 })
    for (let i = 0; i < 20; i++) await state.of(`key-${i}`).update((n) => (n ?? 0))
    broken = true
    const failing = job.checkpoint({ metadata: 2 })
    await state.of('key-3').set(103)
    const failure = (await failing.catch((error: unknown) => error)) as MoraineError
    expect(failure).toMatchObject({ code: 'INVALID' })
    expect(failure.message).toMatch(/state 'state'.*key "key-7"/)
    expect(await state.of('key-7').get().catch(() => 'unreadable')).toBeDefined()
    await state.of('key-4').set(104)
    broken = false
    await job.checkpoint({ metadata: 3 })
    await job.close()
    const next = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    expect(next.restored?.metadata).toBe(3)
    const restored = next.state(valueState('state', { codec: fragile }))
    for (let i = 0; i < 20; i++) expect(await restored.of(`key-${i}`).get()).toBe(i === 3 ? 103 : i === 4 ? 104 : i)
    await next.close()
  })

  test('that a name is in the way of is a CONFLICT, and the state goes with the next one', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    const { count } = states(job)
    await count.of('a').set(1n)
    await job.checkpoint({ name: 'taken' })
    await count.of('a').set(2n)
    await expect(job.checkpoint({ name: 'taken' })).rejects.toMatchObject({ code: 'CONFLICT' })
    await job.checkpoint({ name: 'free' })
    await job.close()
    const next = await openJob(store, 'job')
    expect(await states(next).count.of('a').get()).toBe(2n)
    expect((await next.checkpoints()).map(({ name }) => name)).toEqual(['taken', 'free'])
    await next.close()
  })

  test('goes on through a store that fails for a while', async () => {
    const inner = new MemoryObjectStore()
    let faults = 0
    const store = new FaultyObjectStore(inner, (operation, key) => (operation === 'put' && key.includes('/sst/') && faults++ < 3 ? { kind: 'fail' } : undefined), { clock: systemClock })
    const job = await openJob(store as unknown as MemoryObjectStore, 'job')
    await states(job).count.of('a').set(1n)
    await job.checkpoint({ metadata: 1 })
    expect(faults).toBeGreaterThan(2)
    await job.close()
    const next = await openJob(inner, 'job')
    expect(await states(next).count.of('a').get()).toBe(1n)
    await next.close()
  })
})

describe('calls that would wait for themselves are INVALID', () => {
  test('checkpoint() inside a handler, a timer handler and an update', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const { count } = states(job)
    await expect(job.process('a', () => job.checkpoint())).rejects.toMatchObject({ code: 'INVALID' })
    await expect(count.of('a').update(async (n) => { await job.checkpoint(); return n })).rejects.toMatchObject({ code: 'INVALID' })
    let inside: Promise<unknown>[] = []
    await count.of('a').update((n) => {
      inside = [job.checkpoint(), job.advanceWatermark(1)]
      return n
    })
    for (const call of inside) await expect(call).rejects.toMatchObject({ code: 'INVALID' })
    job.timers.onTimer(async () => void (await job.checkpoint()))
    await job.timers.register({ key: 'a', time: 1, domain: 'event' })
    await expect(job.advanceWatermark(1)).rejects.toMatchObject({ code: 'INVALID' })
    // Outside, also right after a handler that has not been waited for.
    await job.checkpoint()
    await job.close()
  })

  test('the same key inside update(), at once, later, and through another key', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const { count } = states(job)
    await count.of('a').set(1n)
    const inside = [
      count.of('a').update(async () => await count.of('a').get()),
      count.of('a').update(async () => { await Promise.resolve(); await count.of('a').set(3n); return 4n }),
      count.of('a').update(async () => await count.of('b').update(async () => await count.of('a').get())),
    ]
    for (const call of inside) await expect(call).rejects.toMatchObject({ code: 'INVALID' })
    let sync: Promise<unknown> | undefined
    await count.of('a').update((n) => {
      sync = count.of('a').get()
      sync.catch(() => {})
      return n
    })
    await expect(sync).rejects.toMatchObject({ code: 'INVALID' })
    expect(await count.of('a').get()).toBe(1n)
    // Two that would wait for each other.
    const first = new Deferred<void>()
    const crossed = [
      count.of('a').update(async (n) => { await first.promise; await count.of('b').get(); return n }),
      count.of('b').update(async (n) => { first.resolve(); await count.of('a').get(); return n }),
    ]
    const outcomes = await Promise.allSettled(crossed)
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    // Other keys are fine.
    await count.of('c').set(5n)
    expect(await count.of('a').update(async () => await count.of('c').get())).toBe(5n)
    await expect(count.of('a').update((() => Promise.resolve(1n)) as never)).rejects.toMatchObject({ code: 'INVALID' })
    expect(await count.of('a').get()).toBe(5n)
    await job.close()
  })

  test('advanceWatermark() inside a handler, and process() of the same key', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    await expect(job.process('a', () => job.advanceWatermark(1))).rejects.toMatchObject({ code: 'INVALID' })
    await expect(job.process('a', () => job.process('a', () => 1))).rejects.toMatchObject({ code: 'INVALID' })
    expect(await job.process('a', () => job.process('b', () => 2))).toBe(2)
    await job.close()
  })
})

describe('rescaling', () => {
  async function prepare(store: MemoryObjectStore): Promise<void> {
    const job = await openJob(store, 'one')
    const { count } = states(job)
    for (let i = 0; i < 200; i++) await count.of(`key-${i}`).set(BigInt(i))
    for (let i = 0; i < 200; i++) await job.timers.register({ key: `key-${i}`, time: i, domain: 'event' })
    await job.advanceWatermark(-1)
    await job.checkpoint({ metadata: { offset: 9 } })
    await job.close()
  }

  test('target i of n gets groups ceil(i * total / n) to ceil((i + 1) * total / n) - 1, and opening takes them', async () => {
    const store = new MemoryObjectStore()
    await prepare(store)
    const targets = [0, 1, 2].map((i) => ({ store, prefix: `t${i}` }))
    const reports = await rescaleKeyedState([{ location: { store, prefix: 'one' } }], targets)
    expect(reports.map(({ keyGroups }) => [keyGroups.first, keyGroups.last])).toEqual([[0, 42], [43, 85], [86, 127]])
    let keys = 0
    for (const [i, target] of targets.entries()) {
      const job = await openJob(store, target.prefix)
      expect(job.keyGroups).toEqual(reports[i]?.keyGroups)
      keys += (await collect(states(job).count.keys())).length
      await job.close()
    }
    expect(keys).toBe(200)
  })

  test('a key outside the range is INVALID on every call', async () => {
    const store = new MemoryObjectStore()
    await prepare(store)
    const targets = [0, 1].map((i) => ({ store, prefix: `t${i}` }))
    await rescaleKeyedState([{ location: { store, prefix: 'one' } }], targets)
    const job = await openJob(store, 't0')
    const own = states(job)
    const key = Array.from({ length: 200 }, (_, i) => `key-${i}`).find((candidate) => keyGroupOf(utf8Encode(candidate), 128) > 63) as string
    const calls: (() => Promise<unknown>)[] = [
      () => own.count.of(key).get(),
      () => own.count.of(key).set(1n),
      () => own.count.of(key).update((n) => n),
      () => own.count.of(key).update(async (n) => n),
      () => own.count.of(key).clear(),
      () => own.count.prefetch([key]),
      () => own.log.of(key).add({ n: 1 }),
      () => own.log.of(key).addAll([{ n: 1 }]),
      () => own.log.of(key).get(),
      () => own.log.of(key).set([]),
      () => own.log.of(key).clear(),
      () => own.seen.of(key).get('a'),
      () => own.seen.of(key).set('a', 1),
      () => own.seen.of(key).has('a'),
      () => own.seen.of(key).delete('a'),
      () => own.seen.of(key).clear(),
      () => collect(own.seen.of(key).entries()),
      () => own.max.of(key).add(1),
      () => own.max.of(key).get(),
      () => own.max.mergeNamespaces(key, 'a', ['b']),
      () => own.average.of(key).add(1),
      () => own.average.of(key).get(),
      () => job.timers.register({ key, time: 1, domain: 'event' }),
      () => job.timers.delete({ key, time: 1, domain: 'event' }),
      () => job.process(key, () => 1),
      () => collect(job.stateOfKey(key)),
    ]
    for (const [i, call] of calls.entries()) await expect(call(), `call ${i}`).rejects.toMatchObject({ code: 'INVALID' })
    for (const [i, call] of calls.entries()) await expect(call(), `call ${i} again`).rejects.toThrow(/key groups 0 to 63 of 128/)
    await job.close()
  })

  test("a target's first manifest counts as a checkpoint: what is flushed before its own first one is given up", async () => {
    const store = new MemoryObjectStore()
    await prepare(store)
    await rescaleKeyedState([{ location: { store, prefix: 'one' } }], [{ store, prefix: 'two' }])
    for (let life = 0; life < 2; life++) {
      const job = await openJob(store, 'two')
      const { count } = states(job)
      expect(job.restored?.metadata).toEqual({ offset: 9 })
      expect(await count.of('key-5').get()).toBe(5n)
      await count.of('key-5').set(99n)
      await overflow(job)
      await job.close()
    }
  })

  test('restored.sources holds the metadata of every origin, and the watermark is their minimum', async () => {
    const store = new MemoryObjectStore()
    const ids: string[] = []
    for (const [i, watermark] of [70, 50].entries()) {
      const keyGroups = { total: 128, first: i * 64, last: i * 64 + 63 }
      const job = await openJob(store, `half${i}`, { keyGroups })
      await job.advanceWatermark(watermark)
      ids.push((await job.checkpoint({ metadata: { offset: watermark } })).id)
      await job.close()
    }
    await rescaleKeyedState([0, 1].map((i) => ({ location: { store, prefix: `half${i}` } })), [{ store, prefix: 'whole' }])
    const job = await openJob(store, 'whole')
    expect(job.watermark).toBe(50)
    expect(job.restored?.metadata).toBeNull()
    expect(job.restored?.sources).toEqual([
      { checkpointId: ids[0], metadata: { offset: 70 }, keyGroups: { total: 128, first: 0, last: 63 }, watermark: 70 },
      { checkpointId: ids[1], metadata: { offset: 50 }, keyGroups: { total: 128, first: 64, last: 127 }, watermark: 50 },
    ])
    await job.checkpoint({ metadata: 'own' })
    await job.close()
    const next = await openJob(store, 'whole')
    expect(next.restored).toMatchObject({ metadata: 'own', sources: [] })
    await next.close()
  })

  test('no data is moved: the number of requests does not grow with the state, and none writes a table but the record', async () => {
    const requests: number[] = []
    for (const size of [100, 3_000]) {
      const inner = new MemoryObjectStore()
      const job = await openJob(inner, 'one')
      for (let i = 0; i < size; i++) await states(job).log.of(`key-${i}`).add({ n: i, text: 'z'.repeat(300) } as { n: number })
      await job.checkpoint()
      await job.close()
      const store = new CountingStore(inner)
      await rescaleKeyedState([{ location: { store, prefix: 'one' } }], [0, 1, 2, 3].map((i) => ({ store, prefix: `t${i}` })))
      requests.push(store.calls)
      expect(store.written).toBeLessThan(64 * 1024)
    }
    expect(requests[1] as number).toBeLessThanOrEqual((requests[0] as number) + 8)
  })

  test('sources that leave a gap, overlap or differ are refused before anything is written', async () => {
    const store = new MemoryObjectStore()
    for (const [name, first, last, total] of [['a', 0, 63, 128], ['b', 32, 127, 128], ['c', 70, 127, 128], ['d', 64, 255, 256]] as const) {
      const job = await openJob(store, name, { keyGroups: { total, first, last } })
      await job.checkpoint()
      await job.close()
    }
    for (const [other, why] of [['b', /does not go on/], ['c', /does not go on/], ['d', /same total/]] as const) {
      const sources = ['a', other].map((prefix) => ({ location: { store, prefix } }))
      await expect(rescaleKeyedState(sources, [{ store, prefix: 'target' }])).rejects.toThrow(why)
    }
    await expect(rescaleKeyedState([{ location: { store, prefix: 'a' } }], [{ store, prefix: 'target' }])).rejects.toThrow(/are missing/)
    await expect(rescaleKeyedState([{ location: { store, prefix: 'nothing' } }], [{ store, prefix: 'target' }])).rejects.toMatchObject({ code: 'INVALID' })
    expect((await store.list('target')).objects).toEqual([])
  })

  test('a target that holds something else is refused, and its owner is not disturbed', async () => {
    const store = new MemoryObjectStore()
    await prepare(store)
    const other = await open({ store, prefix: 'taken' }, { wal: 'none' })
    await other.put('key', 'value')
    await other.flush()
    const job = await openJob(store, 'job')
    for (const prefix of ['taken', 'job', 'one']) {
      await expect(rescaleKeyedState([{ location: { store, prefix: 'one' } }], [{ store, prefix }]), prefix).rejects.toMatchObject({ code: 'INVALID' })
    }
    await other.put('more', 'value')
    await other.flush()
    await states(job).count.of('a').set(1n)
    await job.checkpoint()
    await other.close()
    await job.close()
  })

  test('an engine clone of a checkpoint is keyed state, one of a later state is refused', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'one')
    await states(job).count.of('a').set(1n)
    const { id } = await job.checkpoint({ metadata: 'kept' })
    await states(job).count.of('a').set(2n)
    await overflow(job)
    await job.close()
    await clone({ store, prefix: 'one' }, { store, prefix: 'copy' }, { checkpoint: id })
    for (let life = 0; life < 2; life++) {
      const copy = await openJob(store, 'copy')
      expect(copy.restored?.metadata).toBe('kept')
      expect(await states(copy).count.of('a').get()).toBe(1n)
      await states(copy).count.of('a').set(5n)
      await overflow(copy)
      await copy.close()
    }
    await clone({ store, prefix: 'one' }, { store, prefix: 'later' })
    await expect(openJob(store, 'later')).rejects.toThrow(/has moved on from its checkpoint/)
    await clone({ store, prefix: 'one' }, { store, prefix: 'part' }, { checkpoint: id, range: { lt: Uint8Array.of(0x00, 0x40) } })
    await expect(openJob(store, 'part') as Promise<KeyedStateBackend<string>>).rejects.toMatchObject({ code: 'INVALID' })
  })
})

class CountingStore extends WrappedObjectStore {
  calls = 0
  written = 0

  protected override async around<T>(call: { readonly bodyBytes: number }, run: () => Promise<T>): Promise<T> {
    this.calls++
    this.written += call.bodyBytes
    return await run()
  }
}
