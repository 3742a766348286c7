// Invariant: wrong input is INVALID with a message that says what and where, and the state is as it was.
import { bigint, bytes, type Codec, float64, int32, int64, json, listState, mapState, msgpack, openKeyedState, reducingState, utf8, valueState } from '@moraine/keyed-state'
import { MemoryObjectStore, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect, openJob, states } from './keyed-job.ts'

const cycle: Record<string, unknown> = {}
cycle['self'] = cycle
const own: Codec<number> = {
  name: 'own',
  version: 1,
  encode(n) {
    if (typeof n !== 'number') throw new Error('numbers only')
    return Uint8Array.of(n)
  },
  decode(b) {
    if (b[0] === 13) throw new Error('unlucky')
    return b[0] as number
  },
}

describe('a value that its codec refuses', () => {
  const refused: [string, Codec<unknown>, unknown, unknown[]][] = [
    ['utf8', utf8, 'fine', [1, undefined, null, '\ud800']],
    ['int32', int32, 1, [1.5, 2 ** 31, '1', 1n, Number.NaN]],
    ['int64', int64, 1n, [1, 2n ** 63n, -(2n ** 63n) - 1n, '1']],
    ['float64', float64, 1.5, ['1', 1n, undefined]],
    ['bigint', bigint, 2n ** 100n, [1, '1']],
    ['bytes', bytes, Uint8Array.of(1), ['text', [1], new ArrayBuffer(1)]],
    ['json', json, { a: [1, null] }, [undefined, 1n, Number.NaN, new Date(0), cycle, () => 1, { f: new Map() }, Promise.resolve(1)]],
    ['msgpack', msgpack, { a: 1n }, [undefined, new Map(), cycle, Symbol('s'), 2n ** 64n]],
    ['own', own, 5, ['text', {}]],
  ]
  test.each(refused)('%s', async (name, codec, fine, wrong) => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const state = job.state(valueState<unknown>('state', { codec }))
    const list = job.state(listState<unknown>('list', { codec }))
    const map = job.state(mapState<string, unknown>('map', { keyCodec: utf8, codec }))
    await state.of('a').set(fine)
    await list.of('a').add(fine)
    await map.of('a').set('f', fine)
    for (const value of wrong) {
      const calls = [
        () => state.of('a').set(value),
        () => list.of('a').add(value),
        () => list.of('a').addAll([fine, value]),
        () => list.of('a').set([value]),
        () => map.of('a').set('f', value),
      ]
      if (value !== undefined) calls.push(() => state.of('a').update(() => value).then(() => {}))
      for (const call of calls) {
        const error: unknown = await call().catch((failure: unknown) => failure)
        expect(error, String(value)).toMatchObject({ code: 'INVALID' })
        expect((error as Error).message).toMatch(/state '(state|list|map)'/)
      }
    }
    expect(await state.of('a').get()).toEqual(fine)
    expect(await list.of('a').get()).toEqual([fine])
    expect(await collect(map.of('a').values())).toEqual([fine])
    await job.checkpoint()
    await job.close()
    expect(name).toBeDefined()
  })

  test('the error names state and key', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    await expect(states(job).count.of('user-1').set(5 as never)).rejects.toThrow(/codec 'int64' of state 'count' could not encode the value of key "user-1"/)
    await job.close()
  })

  test('a value that cannot be decoded fails the call, names state and key, and stays', async () => {
    const store = new MemoryObjectStore()
    let job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    await job.state(valueState('own', { codec: own })).of('k').set(13)
    await job.state(valueState('own', { codec: own })).of('l').set(1)
    await job.checkpoint()
    await job.close()
    job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    const state = job.state(valueState('own', { codec: own }))
    for (const call of [() => state.of('k').get(), () => state.of('k').update((n) => n), () => collect(state.keys())]) {
      await expect(call()).rejects.toThrow(/codec 'own' of state 'own' could not decode the value of key "k": unlucky/)
    }
    expect(await state.of('l').get()).toBe(1)
    await job.checkpoint()
    await job.close()
    const lucky = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    expect(await lucky.state(valueState('own', { codec: { ...own, decode: (b: Uint8Array) => b[0] as number } })).of('k').get()).toBe(13)
    await lucky.close()
  })

  test('a function that throws changes nothing', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const { count, max } = states(job)
    await count.of('a').set(1n)
    await expect(count.of('a').update(() => { throw new Error('no') })).rejects.toThrow('no')
    await expect(count.of('a').update(async () => { await Promise.resolve(); throw new Error('later') })).rejects.toThrow('later')
    expect(() => count.of('a').updateResident(() => { throw new Error('now') })).toThrow('now')
    expect(await count.of('a').get()).toBe(1n)
    await expect(max.of('a').add('x' as never)).rejects.toMatchObject({ code: 'INVALID' })
    await job.close()
  })
})

describe('descriptors and options', () => {
  const wrong: [string, unknown][] = [
    ['nothing', undefined],
    ['no codec', { kind: 'value', name: 'x' }],
    ['an unknown option', { ...valueState('x', { codec: utf8 }), colour: 'red' }],
    ['an empty name', valueState('', { codec: utf8 })],
    ['a codec without decode', valueState('x', { codec: { name: 'y', version: 1, encode: () => new Uint8Array() } as never })],
    ['a ttl of zero', valueState('x', { codec: utf8, ttl: { ms: 0 } })],
    ['a ttl by sundial', valueState('x', { codec: utf8, ttl: { ms: 5, time: 'sun' as never } })],
    ['reducing without reduce', reducingState('x', { codec: utf8 } as never)],
    ['an upgrade downwards', valueState('x', { codec: utf8, version: 2, upgrades: [{ from: 2, to: 1, upgrade: (v: string) => v }] })],
    ['a map without key codec', mapState('x', { codec: utf8 } as never)],
  ]
  test.each(wrong)('a state with %s', async (_, descriptor) => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    expect(() => job.state(descriptor as never)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    await job.close()
  })

  const options: [string, object][] = [
    ['no keyCodec', { keyCodec: undefined }],
    ['an unknown option', { colour: 'red' }],
    ['too many key groups', { keyGroups: { total: 32_769, first: 0, last: 1 } }],
    ['a range backwards', { keyGroups: { total: 128, first: 5, last: 4 } }],
    ['a range beyond the total', { keyGroups: { total: 128, first: 0, last: 128 } }],
    ['half a group', { keyGroups: { total: 128, first: 0.5, last: 4 } }],
    ['a log', { engine: { wal: 'local' } }],
    ['an engine option that is none', { engine: { memtableSizeBytes: 'large' } }],
    ['sinks of one name', { sinks: [{ name: 'a', prepare: () => 1, commit: () => {} }, { name: 'a', prepare: () => 1, commit: () => {} }] }],
    ['a cache of nothing', { cacheEntries: 0 }],
    ['a clock of stone', { ttlClock: 5 }],
  ]
  test.each(options)('openKeyedState with %s', async (_, given) => {
    const store = new MemoryObjectStore()
    await expect(openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, ...given })).rejects.toMatchObject({ code: 'INVALID' })
    expect((await store.list('')).objects).toEqual([])
  })

  test('checkpoint with a wrong name or life, and the newest cannot be deleted', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    for (const given of [{ name: '' }, { name: 'keyed-state/5' }, { ttlMs: 0 }, { label: 'x' }]) {
      await expect(job.checkpoint(given as never)).rejects.toMatchObject({ code: 'INVALID' })
    }
    const first = await job.checkpoint()
    await expect(job.deleteCheckpoint(first.id)).rejects.toThrow(/newest/)
    await expect(job.deleteCheckpoint('nobody')).rejects.toMatchObject({ code: 'INVALID' })
    await job.checkpoint()
    await job.deleteCheckpoint(first.id)
    expect(await job.checkpoints()).toHaveLength(1)
    await job.close()
  })

  test('a database of something else is not taken', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'job' }, { wal: 'none' })
    await db.put('key', 'value')
    await db.close()
    await expect(openJob(store, 'job')).rejects.toThrow(/no keyed state/)
    const again = await open({ store, prefix: 'job' }, { wal: 'none' })
    expect(await again.get('key')).toBeDefined()
    await again.close()
  })

  test('after close every call is CLOSED; after a takeover every call fails', async () => {
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job')
    const declared = states(job)
    await declared.count.of('a').set(1n)
    await job.close()
    await job.close()
    const calls = [() => declared.count.of('a').get(), () => declared.count.of('a').set(1n), () => declared.log.of('a').add({ n: 1 }), () => declared.seen.of('a').clear(), () => job.checkpoint(), () => job.advanceWatermark(1), () => job.timers.register({ key: 'a', time: 1, domain: 'event' }), () => job.process('a', () => 1), () => job.checkpoints()]
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => job.state(valueState('other', { codec: utf8 }))).toThrow(expect.objectContaining({ code: 'CLOSED' }))

    const first = await openJob(store, 'job')
    const second = await openJob(store, 'job')
    await states(first).count.of('a').set(1n)
    await expect(first.checkpoint()).rejects.toMatchObject({ code: 'FENCED' })
    await states(second).count.of('a').set(2n)
    await second.checkpoint()
    await second.close()
    await first.close().catch(() => {})
  })

  test('old checkpoints go, named ones stay, those with a life go when it is over, the newest stays', async () => {
    let now = 1_000_000
    const clock = { nowMs: () => now, monotonicMs: () => now, setTimer: () => ({ cancel: () => {} }), yieldNow: () => Promise.resolve() }
    const store = new MemoryObjectStore()
    const job = await openJob(store, 'job', { retainCheckpoints: 2, clock })
    const names = async () => (await job.checkpoints()).map(({ name, number }) => name ?? number)
    await job.checkpoint({ name: 'kept' })
    await job.checkpoint({ name: 'brief', ttlMs: 500 })
    for (let i = 0; i < 4; i++) await job.checkpoint()
    expect(await names()).toEqual(['kept', 'brief', 5, 6])
    now += 500
    await job.checkpoint({ ttlMs: 1 })
    expect(await names()).toEqual(['kept', 6, 7])
    now += 500
    await job.close()
    const next = await openJob(store, 'job', { clock })
    expect((await next.checkpoints()).at(-1)?.number).toBe(7)
    await next.close()
  })
})
