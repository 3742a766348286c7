// Invariant: a reader sees a running job's state as it was at a completed checkpoint, whole, and never anything later; it does
// not disturb the job.
import { bytes, int64, openKeyedStateReader, utf8, valueState } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { expect, test } from 'vitest'
import { collect, openJob, states } from './keyed-job.ts'

test('by state name and key, at the last checkpoint, with refresh', async () => {
  const store = new MemoryObjectStore()
  const location = { store, prefix: 'job' }
  const job = await openJob(store, 'job', { retainCheckpoints: 1 })
  await expect(openKeyedStateReader(location)).rejects.toMatchObject({ code: 'INVALID' })
  const own = states(job)
  await own.count.of('a').set(1n)
  await own.log.of('a').addAll([{ n: 1 }, { n: 2 }])
  await own.seen.of('a').set('x', 1)
  await own.average.of('a', 'w').add(3)
  await own.average.of('a', 'w').add(6)
  await job.advanceWatermark(42)
  const first = await job.checkpoint({ metadata: { offset: 1 } })
  const reader = await openKeyedStateReader<string>(location, { keyCodec: utf8 })
  expect(reader.checkpoint).toMatchObject({ id: first.id, metadata: { offset: 1 }, watermark: 42 })
  expect(reader.checkpoint.states.map(({ name }) => name).sort()).toContain('average')
  const count = reader.state(valueState('count', { codec: int64 }))
  const byName = reader.state('count')
  await own.count.of('a').set(2n)
  await own.count.of('b').set(2n)
  expect(await count.of('a').get()).toBe(1n)
  expect(await byName.of('a').get()).toBe(1n)
  expect(await count.of('b').get()).toBeUndefined()
  expect(await reader.state('log').of('a').get()).toEqual([{ n: 1 }, { n: 2 }])
  expect(await collect(reader.state('seen').of('a').entries())).toEqual([['x', 1]])
  expect(await reader.state('seen').of('a').get('x')).toBe(1)
  expect(await reader.state('average').of('a', 'w').get()).toEqual({ n: 2, sum: 9 })
  expect(await collect(byName.keys())).toEqual([{ key: 'a', namespace: undefined }])
  expect(await reader.refresh()).toBe(false)
  for (let i = 2; i <= 4; i++) {
    await own.count.of('a').set(BigInt(i))
    await job.checkpoint({ metadata: { offset: i } })
    expect(await count.of('a').get()).toBe(BigInt(i - 1))
    expect(await reader.refresh()).toBe(true)
    expect(reader.checkpoint.metadata).toEqual({ offset: i })
    expect(await count.of('a').get()).toBe(BigInt(i))
  }
  const frozen = await openKeyedStateReader<string>(location, { checkpoint: (await job.checkpoints()).at(-1)?.id as string })
  await own.count.of('a').set(9n)
  await job.checkpoint()
  expect(await frozen.refresh()).toBe(false)
  expect(await frozen.state('count').of('a').get()).toBe(4n)
  await frozen.close()
  await reader.close()
  await job.close()
})

test('what is not there, not readable or of another kind is INVALID', async () => {
  const store = new MemoryObjectStore()
  const location = { store, prefix: 'job' }
  const job = await openJob(store, 'job')
  await states(job).count.of('a').set(1n)
  const custom = { name: 'custom', version: 1, encode: (n: number) => Uint8Array.of(n), decode: (b: Uint8Array) => b[0] as number }
  await job.state(valueState('custom', { codec: custom })).of('a').set(5)
  await job.checkpoint()
  const reader = await openKeyedStateReader<string>(location)
  expect(() => reader.state('nobody')).toThrow(/there is no state 'nobody'; there are/)
  expect(() => reader.state('custom')).toThrow(/codec 'custom'/)
  expect(await reader.state(valueState('custom', { codec: custom })).of('a').get()).toBe(5)
  expect(() => reader.state(valueState('count', { codec: utf8 }))).toThrow(/codec 'int64'/)
  await expect(collect(reader.state('count').of('a').entries())).rejects.toMatchObject({ code: 'INVALID' })
  await reader.close()
  await expect(openKeyedStateReader(location, { keyCodec: bytes })).rejects.toThrow(/keys are in codec 'utf8'/)
  await expect(openKeyedStateReader(location, { checkpoint: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID' })
  await expect(openKeyedStateReader({ store, prefix: 'empty' })).rejects.toMatchObject({ code: 'INVALID' })
  await job.close()
})
