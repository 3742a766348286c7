// Invariant: what is read again and again stays in memory: no scan, however large or often repeated, pushes it out, and a
// compaction that replaces its tables hands its blocks over without a request, never more of them than were hot before.
import { CountingObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { type Db, open, type OpenOptions } from 'moraine'
import { beforeEach, describe, expect, test } from 'vitest'
import { contents, numbered, putAll, QUIET, textOf } from './subject.ts'

const KIB = 1024
const MIB = 1024 * KIB

let store: CountingObjectStore
beforeEach(() => {
  store = new CountingObjectStore(new MemoryObjectStore())
})

function options(more: OpenOptions = {}): OpenOptions {
  return { ...QUIET, compression: 'none', blockCacheSizeBytes: 4 * MIB, metadataCacheSizeBytes: 4 * MIB, targetFileSizeBytes: 64 * KIB, workerThreads: 0, ...more }
}

async function getsOf(work: () => Promise<unknown>): Promise<number> {
  const before = store.snapshot().operations.get.requests
  await work()
  return store.snapshot().operations.get.requests - before
}

async function readAll(db: Db, entries: readonly [string, string][]): Promise<void> {
  for (const [key, value] of entries) expect(await textOf(db.get(key))).toBe(value)
}

/** Two overlapping runs of tables, the newer one with every second key. */
async function filled(more?: OpenOptions): Promise<Db> {
  const db = await open({ store }, options(more))
  await putAll(db, numbered(0, 6_000, 100))
  await db.compact()
  await putAll(db, numbered(0, 6_000, 100).filter((_, i) => i % 2 === 0))
  await db.flush()
  return db
}

const HOT = [...numbered(500, 560, 100), ...numbered(2_900, 3_100, 100), ...numbered(5_990, 6_000, 100)]

describe('scans', () => {
  test('a loop of full scans, many times the cache, leaves the hot set readable without a GET', async () => {
    for (const readInBetween of [true, false]) {
      store = new CountingObjectStore(new MemoryObjectStore())
      const db = await filled({ blockCacheSizeBytes: 192 * KIB })
      await readAll(db, HOT)
      await readAll(db, HOT)
      for (let round = 0; round < 10; round++) {
        expect(Object.keys(await contents(db))).toHaveLength(6_000)
        expect(Object.keys(await contents(db, { reverse: true }))).toHaveLength(6_000)
        if (readInBetween) expect(await getsOf(() => readAll(db, HOT))).toBe(0)
      }
      expect(await getsOf(() => readAll(db, HOT))).toBe(0)
      const { blockCacheBytes } = db.stats().cache
      expect(blockCacheBytes).toBeLessThanOrEqual(192 * KIB)
      await db.close()
    }
  })

  test('a compaction on this thread leaves the cache to the reads', async () => {
    const db = await filled()
    await readAll(db, HOT)
    const before = db.stats().cache.blockCacheBlocks
    await db.compact()
    expect(db.stats().cache.blockCacheBlocks).toBeLessThanOrEqual(before + 6)
    await db.close()
  })
})

describe('a full compaction', () => {
  // In a worker thread: see cache-memory.test.ts, which runs what is built.
  test('reads of a hot set go on without a GET', async () => {
    const db = await filled()
    await readAll(db, HOT)
    await readAll(db, HOT)
    const memoryBefore = db.stats().cache.blockCacheBytes
    const compacted = new AbortController()
    let reads = 0
    let gets = 0
    const reading = (async () => {
      while (!compacted.signal.aborted) {
        const before = db.stats().cache.blockLoads
        await readAll(db, HOT)
        gets += db.stats().cache.blockLoads - before
        reads++
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await db.compact()
    compacted.abort()
    await reading
    expect(reads).toBeGreaterThan(1)
    expect(gets).toBe(0)
    expect(await getsOf(() => readAll(db, HOT))).toBe(0)
    const { warmedBlocks, warmedBytes, blockCacheBytes } = db.stats().cache
    expect(warmedBlocks).toBeGreaterThan(10)
    expect(warmedBytes).toBeLessThan(memoryBefore * 2)
    expect(blockCacheBytes).toBeLessThan(memoryBefore * 1.5)
    await db.close()
  })

  test('again and again: what is still read stays warm, what is not fades', async () => {
    const db = await filled()
    const [still, once] = [HOT.slice(0, 60), HOT.slice(60)]
    for (let round = 0; round < 2; round++) await readAll(db, HOT)
    for (let round = 0; round < 4; round++) {
      expect(await getsOf(() => readAll(db, still))).toBe(0)
      await putAll(db, [numbered(0, 1, 100)[0] as [string, string]])
      await db.compact()
    }
    expect(await getsOf(() => readAll(db, still))).toBe(0)
    expect(await getsOf(() => readAll(db, once))).toBeGreaterThan(5)
    await db.close()
  })

  test('blocks that nobody came back to are not carried over', async () => {
    const db = await filled()
    for (let i = 0; i < 6_000; i += 100) await db.get(`key-${String(i).padStart(6, '0')}`)
    await db.compact()
    expect(db.stats().cache.warmedBlocks).toBe(0)
    await db.close()
  })

  test('hotter blocks elsewhere are not pushed out for it, and the budget holds', async () => {
    const blockCacheSizeBytes = 128 * KIB
    const db = await filled({ blockCacheSizeBytes })
    for (let round = 0; round < 3; round++) await readAll(db, HOT)
    await db.compact({ gte: 'key-002000', lt: 'key-004000' })
    expect(db.stats().cache.blockCacheBytes).toBeLessThanOrEqual(blockCacheSizeBytes)
    expect(await getsOf(() => readAll(db, HOT))).toBe(0)
    await db.close()
  })
})
