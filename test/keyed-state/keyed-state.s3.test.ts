// Invariant: on a real S3 server keyed state is what it is in memory: states, timers and offsets are those of the last completed
// checkpoint after a kill, in a reader and in rescaled databases, and large values and list elements come back whole.
import { randomHex, systemRandom } from '@moraine/base'
import { S3ObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import {
  int64,
  json,
  type KeyedStateBackend,
  type KeyedStateOptions,
  listState,
  mapState,
  openKeyedState,
  openKeyedStateReader,
  rescaleKeyedState,
  utf8,
  valueState,
} from '@moraine/keyed-state'
import { type Location, verify } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { collect, SMALL_ENGINE } from './keyed-job.ts'

const server = s3TestServer()
const KEYS = Array.from({ length: 60 }, (_, i) => `key-${i}`)
const OPTIONS: KeyedStateOptions<string> = { keyCodec: utf8, largeValueBytes: 1024, cacheEntries: 50, engine: SMALL_ENGINE }
const large = (key: string, round: number): string => `${key} ${round} `.repeat(300)

function declare(job: KeyedStateBackend<string>) {
  return {
    count: job.state(valueState('count', { codec: int64 })),
    row: job.state(valueState('row', { codec: utf8, separateLargeValues: true })),
    seen: job.state(mapState('seen', { keyCodec: utf8, codec: json<number>() })),
    log: job.state(listState('log', { codec: json<number>() })),
  }
}

/** Round `round` of a stream: all states of all keys, and a timer for each. */
async function process(job: KeyedStateBackend<string>, round: number): Promise<void> {
  const { count, row, seen, log } = declare(job)
  await job.processMany(KEYS, (key) => key, async (key) => {
    await count.of(key).update((n) => (n ?? 0n) + 1n)
    await row.of(key).set(large(key, round))
    if (round === 2) await seen.of(key).clear()
    await seen.of(key).set(`round-${round}`, round)
    await log.of(key).add(round)
    await job.timers.register({ key, time: 100 * round + 7, domain: 'event' })
  })
}

/** Compares all that the backends hold with what it is after the second round, and fires the timers that are left. */
async function check(jobs: readonly KeyedStateBackend<string>[]): Promise<void> {
  const keys: string[] = []
  const fired: string[] = []
  for (const job of jobs) {
    const { count, row, seen, log } = declare(job)
    for await (const { key } of count.keys()) {
      keys.push(key)
      expect(await count.of(key).get()).toBe(2n)
      expect(await row.of(key).get()).toBe(large(key, 2))
      expect(await collect(seen.of(key).entries())).toEqual([['round-2', 2]])
      expect(await log.of(key).get()).toEqual([1, 2])
    }
    expect(job.watermark).toBe(150)
    job.timers.onTimer(({ key, time }) => void fired.push(`${time} ${key}`))
    await job.advanceWatermark(1_000)
  }
  expect(keys.sort()).toEqual(KEYS.toSorted())
  expect(fired.sort()).toEqual(KEYS.map((key) => `207 ${key}`).sort())
}

describe.skipIf(server === undefined)('keyed state on a real server', () => {
  const { endpoint, bucket } = server ?? { endpoint: '', bucket: '' }
  let store: S3ObjectStore
  let prefix: string
  const at = (name: string): Location => ({ store, prefix: `${prefix}/${name}` })

  beforeEach(() => {
    store = new S3ObjectStore({ endpoint, bucket })
    prefix = `keyed-state-${randomHex(systemRandom, 6)}`
  })

  afterEach(async () => {
    for (;;) {
      const { objects } = await store.list(`${prefix}/`)
      if (objects.length === 0) break
      await store.deleteMany(objects.map(({ key }) => key))
    }
    await store.close()
  })

  test('a job is killed, reopened, read from outside, and rescaled from one instance to two', async () => {
    let job = await openKeyedState(at('one'), OPTIONS)
    const fired: number[] = []
    job.timers.onTimer(({ time }) => void fired.push(time))
    await process(job, 1)
    await job.checkpoint({ metadata: { offset: 1 } })
    await process(job, 2)
    await job.advanceWatermark(150)
    expect(fired).toEqual(KEYS.map(() => 107))
    const { id } = await job.checkpoint({ metadata: { offset: 2 } })
    // No checkpoint has what comes now, and some of it reaches the store.
    await process(job, 3)
    await declare(job).log.of('key-0').clear()
    await job.warmUp()
    const killed = job

    job = await openKeyedState(at('one'), OPTIONS)
    expect(job.restored).toEqual({ checkpointId: id, metadata: { offset: 2 }, sources: [] })
    await expect(process(killed, 4).then(() => killed.checkpoint())).rejects.toMatchObject({ code: 'FENCED' })
    await killed.close()

    const reader = await openKeyedStateReader<string>(at('one'))
    expect(reader.checkpoint).toMatchObject({ id, metadata: { offset: 2 }, watermark: 150 })
    expect(await reader.state('count').of('key-9').get()).toBe(2n)
    expect(await reader.state('row').of('key-9').get()).toBe(large('key-9', 2))
    expect(await reader.state('log').of('key-9').get()).toEqual([1, 2])
    await reader.close()

    const targets = [at('two-0'), at('two-1')]
    await rescaleKeyedState([at('one')], targets)
    const halves = await Promise.all(targets.map((target) => openKeyedState(target, OPTIONS)))
    expect(halves.map(({ restored }) => restored?.sources)).toEqual(halves.map(() => [{ checkpointId: id, metadata: { offset: 2 }, keyGroups: { total: 128, first: 0, last: 127 }, watermark: 150 }]))
    await check(halves)
    await Promise.all(halves.map((half) => half.checkpoint()))
    await Promise.all(halves.map((half) => half.close()))
    await check([job])
    await job.close()
    for (const location of [at('one'), ...targets]) expect((await verify(location, { deep: true })).problems).toEqual([])
  }, 120_000)
})
