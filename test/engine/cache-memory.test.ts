// Invariant: what is read through the caches, many times their size, leaves the memory of the process bounded, and the books
// of the caches agree; so it is with the program as it is built, whose compactions run in worker threads.
// A process killed (-9) while its disk cache is in use leaves it to the next one.
import type { DbStats } from 'moraine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BuiltPrograms } from './built-programs.ts'

const MIB = 1024 * 1024
let programs: BuiltPrograms
beforeAll(async () => {
  programs = await BuiltPrograms.prepare()
}, 120_000)
afterAll(() => programs.dispose())

const OPEN = `
import { open } from 'moraine'
const folder = process.argv[2]
const MIB = 1024 * 1024
const options = { wal: 'none', memtableSizeBytes: 4 * MIB, compression: 'none', blockCacheSizeBytes: 8 * MIB, metadataCacheSizeBytes: 2 * MIB }
// No compaction but those that are asked for.
const quiet = { level0CompactionTrigger: 1000, level0StopTrigger: 1001, levelBaseSizeBytes: 1024 * MIB }
const db = await open('file://' + folder + '/db', { ...options, ...quiet, workerThreads: 1, diskCache: { folder: folder + '/cache', sizeBytes: 16 * MIB } })
const key = (n) => 'key-' + String(n).padStart(8, '0')
const load = async (from, to, value) => {
  for (let n = from; n < to; n += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => db.put(key(n + i), value)))
  }
}
const report = (figures) => process.stdout.write(JSON.stringify(figures))
`

/** 80 MiB of tables behind caches of 8 and 16 MiB, each block read as often as the others, in an order without locality. */
const CHURN = `${OPEN}
await load(0, 80_000, new Uint8Array(1000).fill(7))
await db.compact()
const read = async (count, step) => {
  for (let i = 0; i < count; i++) {
    const value = await db.get(key((i * step) % 80_000))
    if (value.length !== 1000) throw new Error('wrong value')
  }
}
const rss = () => { gc(); gc(); return process.memoryUsage().rss }
await read(2_000, 7_919)
const before = rss()
let most = 0
for (let round = 0; round < 4; round++) {
  await read(4_000, 7_919 + round * 2)
  most = Math.max(most, rss())
}
const { cache } = db.stats()
report({ before, most, cache })
await db.close()
`

/** A hot set read over and over while everything is compacted in a worker thread. */
const WARM = `${OPEN}
await load(0, 20_000, new Uint8Array(500).fill(1))
await db.compact()
await load(0, 20_000, new Uint8Array(500).fill(2))
await db.flush()
const hot = Array.from({ length: 1_000 }, (_, i) => key(5_000 + i))
const read = async () => { for (const k of hot) if ((await db.get(k))[0] !== 2) throw new Error('wrong value') }
await read()
await read()
let compacting = true
const before = db.stats().cache.blockLoads
let reads = 0
const reading = (async () => {
  while (compacting) {
    await read()
    reads++
    await new Promise((resolve) => setImmediate(resolve))
  }
  await read()
})()
await db.compact()
compacting = false
await reading
const { cache } = db.stats()
report({ reads, gets: cache.blockLoads - before, cache })
await db.close()
`

/** Reads everything, then waits to be killed; or reads everything again and says what that took. */
const KILLED = `${OPEN}
if (process.argv[3] === 'load') {
  await load(0, 5_000, new Uint8Array(1000).fill(7))
  await db.compact()
}
for (let i = 0; i < 5_000; i += 5) if ((await db.get(key(i))).length !== 1000) throw new Error('wrong value')
while (db.stats().cache.disk.queuedBytes > 0) await new Promise((resolve) => setImmediate(resolve))
report({ cache: db.stats().cache })
if (process.argv[3] === 'load') setInterval(() => {}, 1_000)
else await db.close()
`

interface Churn {
  readonly before: number
  readonly most: number
  readonly cache: DbStats['cache']
}

interface Warm {
  readonly reads: number
  readonly gets: number
  readonly cache: DbStats['cache']
}

test('pitfall 23: reads of ten times the caches leave the resident memory where it was', async () => {
  const { before, most, cache } = await programs.run<Churn>(CHURN)
  expect(cache.blockLoads).toBeGreaterThan(5_000)
  expect(cache.disk).toMatchObject({ state: 'on', failures: 0 })
  expect(cache.disk?.evictedBlocks).toBeGreaterThan(3_000)
  expect(cache.disk?.sizeBytes).toBeLessThanOrEqual(16 * MIB)
  expect(cache.blockCacheBytes).toBeLessThanOrEqual(8 * MIB)
  // What a view of every download would keep alive is 80 MiB and more a round.
  expect(most - before).toBeLessThan(48 * MIB)
}, 120_000)

test('a hot set is read without a GET while a worker compacts its tables', async () => {
  const { reads, gets, cache } = await programs.run<Warm>(WARM)
  expect(reads).toBeGreaterThan(1)
  expect(gets).toBe(0)
  expect(cache.warmedBlocks).toBeGreaterThan(20)
}, 120_000)

test('a killed process leaves its disk cache to the next one', async () => {
  const folder = programs.folder()
  await programs.runAndKill(KILLED, folder, 'load')
  const { cache } = await programs.run<Pick<Churn, 'cache'>>(KILLED, folder, 'read')
  expect(cache).toMatchObject({ blockLoads: 0, metadataLoads: 0, disk: { state: 'on', misses: 0, failures: 0 } })
  expect(cache.disk?.hits).toBeGreaterThan(200)
}, 120_000)
