// Invariant: values of an older version are read through the declared upgrades, one by one as they are read; what cannot be read
// so is refused when the state is declared, and the state stays as it is.
import { bytes, type Codec, float64, int32, int64, json, listState, mapState, openKeyedState, reducingState, type StateDescriptor, utf8, valueState } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect } from './keyed-job.ts'

const open = (store: MemoryObjectStore) => openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })

interface V1 { name: string }
interface V2 { first: string; last: string }
interface V3 extends V2 { age: number }
const toTwo = { from: 1, to: 2, upgrade: ({ name }: V1): V2 => ({ first: name.split(' ')[0] ?? '', last: name.split(' ')[1] ?? '' }) }
const toThree = { from: 2, to: 3, upgrade: (old: V2): V3 => ({ ...old, age: 0 }) }

test('versions 1, 2 and 3 side by side, each read as the newest', async () => {
  const store = new MemoryObjectStore()
  let job = await open(store)
  await job.state(valueState('person', { codec: json<V1>() })).of('a').set({ name: 'Ada L' })
  await job.state(mapState('people', { keyCodec: utf8, codec: json<V1>() })).of('a').set('x', { name: 'Bob M' })
  await job.state(listState('log', { codec: json<V1>() })).of('a').add({ name: 'Eve N' })
  await job.checkpoint()
  await job.close()

  job = await open(store)
  await job.state(valueState('person', { codec: json<V2>(), version: 2, upgrades: [toTwo] })).of('b').set({ first: 'B', last: 'M' })
  await job.state(listState('log', { codec: json<V2>(), version: 2, upgrades: [toTwo] })).of('a').add({ first: 'C', last: 'O' })
  await job.checkpoint()
  await job.close()

  job = await open(store)
  const options = { codec: json<V3>(), version: 3, upgrades: [toTwo, toThree] }
  const person = job.state(valueState('person', options))
  await person.of('c').set({ first: 'C', last: 'N', age: 3 })
  expect(await person.of('a').get()).toEqual({ first: 'Ada', last: 'L', age: 0 })
  expect(await person.of('b').get()).toEqual({ first: 'B', last: 'M', age: 0 })
  expect(await person.of('c').get()).toEqual({ first: 'C', last: 'N', age: 3 })
  expect(await collect(job.state(mapState('people', { keyCodec: utf8, ...options })).of('a').entries())).toEqual([['x', { first: 'Bob', last: 'M', age: 0 }]])
  expect(await job.state(listState('log', options)).of('a').get()).toEqual([{ first: 'Eve', last: 'N', age: 0 }, { first: 'C', last: 'O', age: 0 }])
  await person.of('a').update((value) => ({ ...(value as V3), age: 36 }))
  await job.checkpoint()
  await job.close()

  // A value that was written is of the newest version; the others still need their upgrades.
  job = await open(store)
  expect(() => job.state(valueState('person', { codec: json<V3>(), version: 3 }))).toThrow(/declare the upgrades from 1 to 3/)
  expect(() => job.state(valueState('person', { codec: json<V1>() }))).toThrow(/a newer program/)
  const again = job.state(valueState('person', options))
  expect(await again.of('a').get()).toEqual({ first: 'Ada', last: 'L', age: 36 })
  await job.close()
})

test('to another codec, with the old one at hand', async () => {
  const store = new MemoryObjectStore()
  let job = await open(store)
  await job.state(valueState('n', { codec: int32 })).of('a').set(7)
  await job.checkpoint()
  await job.close()
  job = await open(store)
  expect(() => job.state(valueState('n', { codec: int64 }))).toThrow(/codec 'int32'.*codec 'int64'/)
  expect(() => job.state(valueState('n', { codec: int64, version: 2, upgrades: [{ from: 1, to: 2, upgrade: (n: number) => BigInt(n) }] }))).toThrow(/the old codec/)
  const n = job.state(valueState('n', { codec: int64, version: 2, upgrades: [{ from: 1, to: 2, codec: int32, upgrade: (old: number) => BigInt(old) * 10n }] }))
  expect(await n.of('a').get()).toBe(70n)
  await job.close()
})

test('a codec of its own is told the version', async () => {
  const store = new MemoryObjectStore()
  const one: Codec<number> = { name: 'own', version: 1, encode: (n) => Uint8Array.of(n), decode: (b) => b[0] as number }
  const two: Codec<number> = { name: 'own', version: 2, encode: (n) => Uint8Array.of(0, n), decode: (b, version) => (version === 1 ? (b[0] as number) : (b[1] as number)) }
  let job = await open(store)
  await job.state(valueState('own', { codec: one })).of('a').set(5)
  await job.checkpoint()
  await job.close()
  job = await open(store)
  expect(() => job.state(valueState('own', { codec: two }))).toThrow(/declare the upgrades/)
  const own = job.state(valueState('own', { codec: two, upgrades: [{ from: 1, to: 2, upgrade: (n: number) => n }] }))
  expect(await own.of('a').get()).toBe(5)
  await job.close()
})

describe('pitfall 28: a changed type without an upgrade is INVALID, and the state is as it was', () => {
  const cases: [string, (name: string) => StateDescriptor][] = [
    ['another kind', (name) => reducingState(name, { codec: float64, reduce: (a) => a }) as never],
    ['another codec', (name) => mapState(name, { keyCodec: utf8, codec: utf8 }) as never],
    ['another map key', (name) => mapState(name, { keyCodec: bytes, codec: float64 }) as never],
    ['another version', (name) => mapState(name, { keyCodec: utf8, codec: float64, version: 4 }) as never],
  ]
  test.each(cases)('%s', async (_, describeIt) => {
    const store = new MemoryObjectStore()
    let job = await open(store)
    await job.state(mapState('state', { keyCodec: utf8, codec: float64 })).of('a').set('x', 1)
    await job.checkpoint()
    await job.close()
    job = await open(store)
    expect(() => job.state(describeIt('state') as never)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    expect(await job.state(mapState('state', { keyCodec: utf8, codec: float64 })).of('a').get('x')).toBe(1)
    expect(() => job.state(describeIt('state') as never)).toThrow(/declared twice/)
    await job.close()
  })

  test('another key codec, total or range of key groups when opening', async () => {
    const store = new MemoryObjectStore()
    const job = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, keyGroups: { total: 64, first: 0, last: 31 } })
    await job.checkpoint()
    await job.close()
    await expect(openKeyedState({ store, prefix: 'job' }, { keyCodec: bytes })).rejects.toThrow(/codec 'utf8'/)
    await expect(openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, keyGroups: { total: 128, first: 0, last: 31 } })).rejects.toMatchObject({ code: 'INVALID' })
    await expect(openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, keyGroups: { total: 64, first: 0, last: 63 } })).rejects.toMatchObject({ code: 'INVALID' })
    const again = await openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8 })
    expect(again.keyGroups).toEqual({ total: 64, first: 0, last: 31 })
    await again.close()
  })
})
