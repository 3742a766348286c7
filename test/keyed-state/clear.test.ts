// Invariant: a clear takes all that was there when it was called, however much that is, and nothing that comes after, also while
// a checkpoint is being taken and when the process dies.
import { sleep, systemClock } from '@moraine/base'
import { float64, listState, mapState, type Sink, utf8 } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect, type Job, openJob } from './keyed-job.ts'

const MANY = 5_000
const field = (i: number): string => `f${String(i).padStart(5, '0')}`

function declare(job: Job, separateLargeValues: boolean) {
  return {
    map: job.state(mapState('map', { keyCodec: utf8, codec: float64, separateLargeValues })),
    list: job.state(listState('list', { codec: float64, separateLargeValues })),
  }
}

async function fill(job: Job, separated: boolean, key: string, namespace?: string): Promise<void> {
  const { map, list } = declare(job, separated)
  for (let i = 0; i < MANY; i++) await map.of(key, namespace).set(field(i), i)
  await list.of(key, namespace).addAll(Array.from({ length: MANY }, (_, i) => i))
}

/** Keeps the time between freeze and seal long. */
const slow: Sink = { name: 'slow', prepare: () => sleep(systemClock, 60).then(() => undefined), commit: () => {} }

describe.each([false, true])('separated: %s', (separated) => {
  test('of thousands of entries: neighbours stay, and what is set meanwhile', async () => {
    const store = new MemoryObjectStore()
    let job = await openJob(store, 'job', { cacheEntries: 200 })
    for (const namespace of ['a', 'b', 'c']) await fill(job, separated, 'k', namespace)
    await fill(job, separated, 'k')
    await job.checkpoint()
    let { map, list } = declare(job, separated)
    // In memory, so that the clear leaves them to themselves.
    for (const i of [0, 7, 4_000, MANY - 1]) await map.of('k', 'b').set(field(i), -i)
    const deletions = job.stats().engine.keyspaces.reduce((sum, space) => sum + space.deletions, 0)
    const calls = [map.of('k', 'b').clear(), list.of('k', 'b').clear()]
    calls.push(map.of('k', 'b').set(field(4_000), 1), map.of('k', 'b').set(field(4_500), 2), map.of('k', 'b').set('z', 3), list.of('k', 'b').add(9))
    expect(await map.of('k', 'b').get(field(4_600))).toBeUndefined()
    await Promise.all(calls)
    const check = async (): Promise<void> => {
      expect(await collect(map.of('k', 'b').entries())).toEqual([[field(4_000), 1], [field(4_500), 2], ['z', 3]])
      expect(await list.of('k', 'b').get()).toEqual([9])
      expect(await map.of('k', 'b').get(field(3))).toBeUndefined()
      for (const namespace of ['a', 'c', undefined]) {
        expect(await collect(map.of('k', namespace).entries())).toHaveLength(MANY)
        expect(await list.of('k', namespace).get()).toHaveLength(MANY)
      }
    }
    await check()
    await job.checkpoint()
    // One by one they would be as many as the entries.
    expect(job.stats().engine.keyspaces.reduce((sum, space) => sum + space.deletions, 0) - deletions).toBeLessThan(MANY)
    await job.close()
    job = await openJob(store, 'job')
    ;({ map, list } = declare(job, separated))
    await check()
    await job.close()
  })

  test('while a checkpoint is being taken: it has all entries, and the state has none', async () => {
    const store = new MemoryObjectStore()
    let job = await openJob(store, 'job', { sinks: [slow] })
    await fill(job, separated, 'k')
    await job.checkpoint()
    let { map, list } = declare(job, separated)
    await map.of('k').set(field(2), -2)
    await list.of('k').add(-1)
    const taken = job.checkpoint()
    const cleared = [map.of('k').clear(), list.of('k').clear(), map.of('k').set(field(3), 33)]
    const { id } = await taken
    await Promise.all(cleared)
    expect(await collect(map.of('k').entries())).toEqual([[field(3), 33]])
    expect(await list.of('k').get()).toEqual([])
    // Some of it reaches the store without a checkpoint; then the process is gone.
    await job.warmUp()
    const killed = job
    job = await openJob(store, 'job', { checkpoint: id })
    ;({ map, list } = declare(job, separated))
    expect(await collect(map.of('k').entries())).toEqual(Array.from({ length: MANY }, (_, i) => [field(i), i === 2 ? -2 : i]))
    expect(await list.of('k').get()).toEqual([...Array.from({ length: MANY }, (_, i) => i), -1])
    await killed.close().catch(() => {})
    await job.close()
  })
})
