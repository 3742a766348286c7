// Invariant: what costs money is counted and stays what it is: the requests of an opening, of an idle hour, of a flush, of
// a cold read and of a missing key.
import { CountingObjectStore, MemoryObjectStore, subtractRequests } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { numbered, putAll, QUIET as MANY_TABLES, textOf } from './subject.ts'

/** Compaction makes one table, so that one metadata is all there is to warm. */
const QUIET: OpenOptions = { ...MANY_TABLES, targetFileSizeBytes: 32 * 1024 * 1024 }

/** Requests by operation between two moments, without those that were not made. */
async function requestsOf(store: CountingObjectStore, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = store.snapshot()
  await work()
  const { operations } = subtractRequests(store.snapshot(), before)
  return Object.fromEntries(
    Object.entries(operations).flatMap(([name, { requests }]) => (requests === 0 ? [] : [[name, requests] as const])),
  )
}

async function databaseOf(entries: number): Promise<CountingObjectStore> {
  const store = new CountingObjectStore(new MemoryObjectStore())
  const db = await open({ store }, QUIET)
  await putAll(db, numbered(0, entries, 100))
  await db.flush()
  await putAll(db, numbered(0, entries, 100))
  await db.compact()
  await db.close()
  return store
}

describe('requests', () => {
  test('opening an existing database: LIST, GET, PUT, LIST, whatever its size', async () => {
    for (const entries of [1, 1_000]) {
      const store = await databaseOf(entries)
      let close: (() => Promise<void>) | undefined
      const requests = await requestsOf(store, async () => {
        const db = await open({ store }, QUIET)
        close = () => db.close()
      })
      expect(requests).toEqual({ list: 2, get: 1, put: 1 })
      await close?.()
    }
  })

  test('creating a database: at most 9', async () => {
    const store = new CountingObjectStore(new MemoryObjectStore())
    const requests = await requestsOf(store, () => open({ store }, QUIET))
    expect(Object.values(requests).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(9)
  })

  test('an idle hour: none', async () => {
    const store = await databaseOf(10)
    const clock = new SimulatedClock()
    const db = await open({ store }, { ...QUIET, clock, fenceCheckIntervalMs: 5_000 })
    expect(await requestsOf(store, () => clock.advance(3_600_000))).toEqual({})
    await db.close()
  })

  test('a flush: PUT table, PUT manifest, LIST; with nothing to flush: none', async () => {
    const store = await databaseOf(10)
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 500))
    expect(await requestsOf(store, () => db.flush())).toEqual({ put: 2, list: 1 })
    expect(await requestsOf(store, () => db.flush())).toEqual({})
    await db.close()
  })

  test('closing: one commit, PUT and LIST; with unflushed writes the flush is that commit', async () => {
    const store = await databaseOf(10)
    const idle = await open({ store }, QUIET)
    expect(await requestsOf(store, () => idle.close())).toEqual({ put: 1, list: 1 })
    const busy = await open({ store }, QUIET)
    await busy.put('a', '1')
    expect(await requestsOf(store, () => busy.close())).toEqual({ put: 2, list: 1 })
  })

  test('a cold get with warm metadata: one GET; again: none; a missing key: none', async () => {
    const store = await databaseOf(2_000)
    const db = await open({ store }, { ...QUIET, metadataCacheSizeBytes: 1024 * 1024, blockCacheSizeBytes: 1024 * 1024 })
    // The first read opens the one table that may hold the key.
    expect(await requestsOf(store, () => db.get('key-000000'))).toEqual({ get: 2 })
    const [key, value] = numbered(0, 2_000, 100)[1_500] as [string, string]
    expect(await requestsOf(store, async () => expect(await textOf(db.get(key))).toBe(value))).toEqual({ get: 1 })
    expect(await requestsOf(store, () => db.get(key))).toEqual({})
    // Before, between and behind all keys. One in a hundred between them may cost a GET, by the filter's design.
    expect(await requestsOf(store, () => db.get('a'))).toEqual({})
    expect(await requestsOf(store, () => db.get('z'))).toEqual({})
    const between = await requestsOf(store, async () => {
      for (let i = 0; i < 200; i++) await db.get(`key-00${1000 + i}x`)
    })
    expect(between['get'] ?? 0).toBeLessThanOrEqual(8)
    await db.close()
  })

  test('concurrent gets of one block share one GET', async () => {
    const store = await databaseOf(500)
    const db = await open({ store }, { ...QUIET, metadataCacheSizeBytes: 1024 * 1024, blockCacheSizeBytes: 1024 * 1024 })
    await db.get('key-000020')
    const requests = await requestsOf(store, () =>
      Promise.all([db.get('key-000000'), db.get('key-000000'), db.get('key-000001'), db.getMany(['key-000000', 'key-000002'])]),
    )
    expect(requests).toEqual({ get: 1 })
    await db.close()
  })

  test('what a process has just flushed it reads back without opening it', async () => {
    const store = await databaseOf(1)
    const db = await open({ store }, { ...QUIET, metadataCacheSizeBytes: 1024 * 1024 })
    await putAll(db, numbered(0, 100))
    await db.flush()
    expect(await requestsOf(store, () => db.get('key-000042'))).toEqual({ get: 1 })
    await db.close()
  })

  test('the deletions of a compaction are one request', async () => {
    const store = new CountingObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    for (let round = 0; round < 5; round++) {
      await putAll(db, numbered(0, 50))
      await db.flush()
    }
    const requests = await requestsOf(store, async () => {
      await db.compact()
      await db.close()
    })
    expect(requests['deleteMany']).toBe(1)
    expect(requests['delete']).toBeUndefined()
  })
})
