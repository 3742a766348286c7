// Invariant: where a value lies is nobody's business but the engine's: large values in blob files are read, scanned,
// overwritten, kept by snapshots, checkpoints and clones and lost with a file exactly as those in tables are; a blob file
// lives as long as a table refers to it, and no longer.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore, type ObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import { clone, collectGarbage, type Db, destroy, open, openReader, type OpenOptions, verify } from 'moraine'
import { blobFilesOf, filesOf } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { dataIn, dataOf, namesIn, newestOf } from './bucket.ts'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

const BLOBS: OpenOptions = { ...QUIET, blobThresholdBytes: 256, gcGraceMs: 0 }
/** Every second value is large. */
function mixed(from: number, to: number, salt = ''): [key: string, value: string][] {
  return numbered(from, to).map(([key, value], i) => [key, `${value}${salt}`.padEnd(i % 2 === 0 ? 700 : 30, '-')])
}

async function blobBytes(store: ObjectStore): Promise<number> {
  return (await store.list('blob/')).objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

describe('reads', () => {
  test('every way of reading gives the values, from memory, after the flush and after a reopening', async () => {
    const store = new MemoryObjectStore()
    const entries = mixed(0, 100)
    let db = await open({ store }, BLOBS)
    await putAll(db, entries)
    const check = async (): Promise<void> => {
      for (const [key, value] of entries) expect(await textOf(db.get(key))).toBe(value)
      const many = await db.getMany([...entries.map(([key]) => key), 'absent'])
      expect(many.map((value) => value && Buffer.from(value).toString())).toEqual([...entries.map(([, value]) => value), undefined])
      expect(await contents(db)).toEqual(Object.fromEntries(entries))
      expect(await contents(db, { reverse: true, limit: 7 })).toEqual(Object.fromEntries(entries.slice(-7)))
      const batched: string[] = []
      for await (const batch of db.scanBatches({ gte: 'key-000050' })) batched.push(...batch.map(([, value]) => Buffer.from(value).toString()))
      expect(batched).toEqual(entries.slice(50).map(([, value]) => value))
    }
    await check()
    await db.flush()
    expect(await namesIn(store, 'blob/')).toHaveLength(1)
    await check()
    await db.close()
    db = await open({ store }, BLOBS)
    await check()
    expect(db.stats().blobs).toMatchObject({ files: 1 })
    await db.close()
  })

  test('getResident knows a separated value only when it is in the cache', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    await db.put('a', 'x'.repeat(5000))
    await db.flush()
    expect(db.getResident('a')).toBeUndefined()
    await db.get('a')
    expect(db.getResident('a')).toHaveProperty('value')
    await db.close()
  })

  test('a cold read of a large value costs one request more, one of a cached one none, a scan hardly any', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, blockCacheSizeBytes: 1024 * 1024, metadataCacheSizeBytes: 1024 * 1024 })
    await putAll(db, mixed(0, 200))
    await db.flush()
    const gets = async (work: () => Promise<unknown>): Promise<number> => {
      const before = db.stats().store.operations.get.calls
      await work()
      return db.stats().store.operations.get.calls - before
    }
    expect(await gets(() => db.get('key-000000'))).toBe(2)
    expect(await gets(() => db.get('key-000000'))).toBe(0)
    expect(await gets(() => contents(db))).toBeLessThan(12)
    await db.close()
  })

  test('readers see them, and snapshots the versions of their time', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    await putAll(db, mixed(0, 20, 'old'))
    await db.flush()
    const snapshot = db.snapshot()
    await putAll(db, mixed(0, 20, 'new'))
    await db.compact()
    expect(await contents(db, { snapshot })).toEqual(Object.fromEntries(mixed(0, 20, 'old')))
    const reader = await openReader({ store })
    expect(await contents(reader as unknown as Db)).toEqual(Object.fromEntries(mixed(0, 20, 'new')))
    await reader.close()
    snapshot.close()
    await db.close()
  })

  test('a value of many megabytes', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    const value = new SeededRandom(1).fill(new Uint8Array(9 * 1024 * 1024))
    await db.put('a', value)
    await db.put('b', 'x'.repeat(1000))
    await db.compact()
    expect(Buffer.compare((await db.get('a')) as Uint8Array, value)).toBe(0)
    for await (const [key, found] of db.scan()) expect(found.length, String(key)).toBe(Buffer.from(key).toString() === 'a' ? value.length : 1000)
    await db.close()
  })
})

describe('compaction', () => {
  test('passes references on: large values are not written again', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    await putAll(db, mixed(0, 100))
    await db.flush()
    const [file] = await namesIn(store, 'blob/')
    await putAll(db, mixed(100, 200))
    await db.compact()
    await db.compact()
    expect(await namesIn(store, 'blob/')).toHaveLength(2)
    expect(await namesIn(store, 'blob/')).toContain(file)
    expect(await contents(db)).toEqual(Object.fromEntries([...mixed(0, 100), ...numbered(100, 200).map(([key], i) => [key, mixed(100, 200)[i]?.[1]])]))
    await db.close()
  })

  test('links are exact: what was overwritten is not counted, and a file goes with its last value', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, blobGarbagePercent: 0 })
    await putAll(db, numbered(0, 10, 1000))
    await db.flush()
    await putAll(db, numbered(0, 5, 1001))
    await db.compact()
    const uses = [...blobFilesOf((await newestOf(store)).version).values()].sort((a, b) => a.sizeBytes - b.sizeBytes)
    expect(uses).toHaveLength(2)
    expect(uses[0]?.liveBytes).toBeGreaterThan((uses[0]?.sizeBytes as number) - 60)
    expect((uses[1]?.liveBytes as number) / (uses[1]?.sizeBytes as number)).toBeCloseTo(0.45, 1)
    for (const [key] of numbered(5, 10)) await db.delete(key)
    await db.compact()
    await db.close()
    expect(await namesIn(store, 'blob/')).toHaveLength(1)
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  })

  test('a file of which little is in use is emptied, and the space comes back', async () => {
    const store = new MemoryObjectStore()
    const options = { ...BLOBS, compression: 'none' as const, blobGarbagePercent: 60 }
    const db = await open({ store }, options)
    await putAll(db, numbered(0, 100, 1000))
    await db.flush()
    const reasons: string[] = []
    db.on('compaction', ({ reason }) => reasons.push(reason))
    await putAll(db, numbered(0, 50, 1000))
    await db.compact()
    await idle(db)
    await db.close()
    expect(await blobBytes(store)).toBeLessThan(110_000)
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
    const again = await open({ store }, options)
    expect(await contents(again)).toEqual(Object.fromEntries(numbered(0, 100, 1000)))
    await again.close()
  })

  test('another threshold later: what is written from then on follows it, and everything stays readable', async () => {
    const store = new MemoryObjectStore()
    for (const [round, blobThresholdBytes] of [0, 256, 2048, 0].entries()) {
      const db = await open({ store }, { ...BLOBS, blobThresholdBytes })
      await putAll(db, mixed(round * 20, round * 20 + 20))
      await db.compact()
      expect(Object.keys(await contents(db))).toHaveLength((round + 1) * 20)
      await db.close()
    }
    // The inline values of the first round moved out when the second one was compacted with them.
    expect(await blobBytes(store)).toBeGreaterThan(0)
    const db = await open({ store }, QUIET)
    for (let round = 0; round < 4; round++) for (const [key, value] of mixed(round * 20, round * 20 + 20)) expect(await textOf(db.get(key))).toBe(value)
    await db.close()
    expect((await verify({ store }, { deep: true })).problems).toEqual([])
  })

  test('a keyspace may have a threshold of its own, whatever that of the database', async () => {
    for (const workerThreads of [0, 1]) {
      const store = new MemoryObjectStore()
      const value = (i: number): string => `${i}`.padEnd(600, '-')
      const db = await open({ store }, { ...QUIET, workerThreads, keyspaces: { never: { blobThresholdBytes: 0 } } })
      const large = db.keyspace('large', { blobThresholdBytes: 512 })
      const huge = db.keyspace('huge', { blobThresholdBytes: 4096 })
      const write = async (): Promise<void> => {
        for (let i = 0; i < 50; i++) await Promise.all([db, large, huge, db.keyspace('never')].map((space) => space.put(`key-${i}`, value(i))))
      }
      const check = async (other: Db): Promise<void> => {
        const spaces = [other, other.keyspace('large'), other.keyspace('huge'), other.keyspace('never')]
        for (let i = 0; i < 50; i++) for (const space of spaces) expect(await textOf(space.get(`key-${i}`))).toBe(value(i))
      }
      await write()
      await db.flush()
      const holders = async () => [...filesOf((await newestOf(store)).version)].filter(({ blobs = [] }) => blobs.length > 0)
      const names = async () => (await holders()).map(({ smallestKey }) => Buffer.from(smallestKey).toString('latin1'))
      const onlyLarge = async () => {
        const found = await names()
        expect(found.length).toBeGreaterThan(0)
        expect(found.every((name) => name.includes('large'))).toBe(true)
      }
      await onlyLarge()
      await check(db)
      await write()
      await db.compact()
      await check(db)
      await onlyLarge()
      await db.close()
      // Forgotten with the process: what lies in a blob file stays there, and what comes later stands in tables.
      const next = await open({ store }, QUIET)
      await check(next)
      await next.close()
      // A database that separates, but for one keyspace.
      const other = await open({ store }, { ...BLOBS, keyspaces: { never: { blobThresholdBytes: 0 } } })
      await other.compact()
      await check(other)
      expect((await names()).some((name) => name.includes('never'))).toBe(false)
      expect((await names()).some((name) => name.includes('huge'))).toBe(true)
      await other.close()
      expect((await verify({ store }, { deep: true })).problems).toEqual([])
    }
  })

  test('a compaction filter is shown the value itself', async () => {
    const store = new MemoryObjectStore()
    const seen: number[] = []
    const compactionFilter = {
      name: 'halves',
      filter: (key: Uint8Array, value: Uint8Array) => {
        seen.push(value.length)
        return key.at(-1) === 0x30 ? ('remove' as const) : key.at(-1) === 0x31 ? { replace: value.subarray(0, 600) } : ('keep' as const)
      },
    }
    const db = await open({ store }, { ...BLOBS, compactionFilter })
    await putAll(db, numbered(0, 20, 1000))
    await db.compact()
    expect(new Set(seen)).toEqual(new Set([1000, 600].slice(0, new Set(seen).size)))
    const found = await contents(db)
    expect(Object.keys(found)).toHaveLength(18)
    expect(found['key-000001']).toHaveLength(600)
    expect(found['key-000002']).toHaveLength(1000)
    await db.close()
  })
})

describe('what keeps a blob file', () => {
  test('a checkpoint does, until it is deleted', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    await putAll(db, numbered(0, 10, 1000))
    await db.checkpoint({ name: 'then' })
    await putAll(db, numbered(0, 10, 1001))
    await db.compact()
    expect(await namesIn(store, 'blob/')).toHaveLength(2)
    await db.restore('then')
    expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 10, 1000)))
    await db.deleteCheckpoint('then')
    await db.close()
    await collectGarbage({ store }, { graceMs: 0 })
    expect(await namesIn(store, 'blob/')).toHaveLength(1)
    expect((await verify({ store }, { deep: true, orphans: true })).orphans).toEqual([])
  })

  test('pitfall 4: a scan that outlives a compaction and a collection reads its values to the end', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, blockCacheSizeBytes: 0 })
    await putAll(db, numbered(0, 200, 5000))
    await db.flush()
    const scan = db.scanBatches()
    const first = await scan.next()
    await putAll(db, numbered(0, 200, 5001))
    await db.compact()
    let count = first.value?.length ?? 0
    for await (const batch of scan) {
      count += batch.length
      for (const [, value] of batch) expect(value.length).toBe(5000)
    }
    expect(count).toBe(200)
    await db.close()
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  })

  test('pitfall 5: a clone does, although its own tables have replaced the borrowed ones; detach brings the values home', async () => {
    const store = new MemoryObjectStore()
    const [a, b] = [new PrefixedObjectStore(store, 'a'), new PrefixedObjectStore(store, 'b')]
    const source = await open({ store: a }, BLOBS)
    await putAll(source, numbered(0, 50, 1000))
    await source.compact()
    await source.close()
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const copy = await open({ store, prefix: 'b' }, BLOBS)
    await putAll(copy, numbered(0, 10, 1001))
    await copy.compact()
    const newest = await newestOf(b)
    expect([...filesOf(newest.version)].every(({ origin }) => origin === undefined)).toBe(true)
    expect([...blobFilesOf(newest.version).values()].some(({ origin }) => origin !== undefined)).toBe(true)
    expect(newest.origins).toHaveLength(1)
    // The source rewrites all of its own, and collects.
    const churned = await open({ store: a }, BLOBS)
    await putAll(churned, numbered(0, 50, 1002))
    await churned.compact()
    await churned.close()
    await collectGarbage({ store, prefix: 'a' }, { graceMs: 0, force: true })
    const expected = Object.fromEntries([...numbered(0, 10, 1001), ...numbered(10, 50, 1000)])
    expect(await contents(copy)).toEqual(expected)
    await copy.detach()
    expect((await newestOf(b)).origins).toEqual([])
    await collectGarbage({ store, prefix: 'a' }, { graceMs: 0, force: true })
    expect(await namesIn(a, 'blob/')).toHaveLength(1)
    await destroy({ store, prefix: 'a' })
    expect(await namesIn(a, '')).toEqual([])
    expect(await contents(copy)).toEqual(expected)
    await copy.close()
    expect((await verify({ store, prefix: 'b' }, { deep: true })).problems).toEqual([])
  })

  test('projection and union take the blob files along', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'a' }, BLOBS)
    await putAll(db, mixed(0, 100))
    await db.close()
    await clone({ store, prefix: 'a' }, { store, prefix: 'low' }, { range: { lt: 'key-000050' } })
    await clone({ store, prefix: 'a' }, { store, prefix: 'high' }, { range: { gte: 'key-000050' } })
    await clone([{ store, prefix: 'low' }, { store, prefix: 'high' }].map((location) => location), { store, prefix: 'both' })
    for (const [prefix, entries] of [['low', mixed(0, 50)], ['high', mixed(0, 100).slice(50)], ['both', mixed(0, 100)]] as const) {
      const part = await open({ store, prefix }, BLOBS)
      expect(await contents(part)).toEqual(Object.fromEntries(entries))
      await part.compact()
      expect(await contents(part)).toEqual(Object.fromEntries(entries))
      await part.close()
    }
  })

  test('destroy removes them', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, BLOBS)
    await putAll(db, numbered(0, 10, 1000))
    await db.close()
    await destroy({ store })
    expect(await namesIn(store, '')).toEqual([])
  })
})

describe('damage', () => {
  async function stored(): Promise<{ store: MemoryObjectStore; name: string }> {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, compression: 'none' })
    await putAll(db, numbered(0, 10, 1000))
    await db.close()
    const [name] = await namesIn(store, 'blob/')
    return { store, name: name as string }
  }

  test('pitfall 19: a missing blob file is named, and what does not need it is read', async () => {
    const { store, name } = await stored()
    const db = await open({ store }, BLOBS)
    await db.put('small', 'value')
    await store.delete(name)
    await expect(db.get('key-000003')).rejects.toMatchObject({ code: 'CORRUPTION', detail: { file: name, missing: true } })
    await expect(contents(db)).rejects.toMatchObject({ code: 'CORRUPTION' })
    expect(await textOf(db.get('small'))).toBe('value')
    expect(await outcomeOf(db.close())).toBe('ok')
    const { problems, states } = await verify({ store })
    expect(problems).toMatchObject([{ object: name, missing: true, keys: { smallest: 'key-000000', largest: 'key-000009' } }])
    expect(states).toMatchObject([{ what: 'newest', whole: false }])
  })

  test('pitfall 16: a flipped byte is an error for the value it is in and for no other; a deep look finds it', async () => {
    const { store, name } = await stored()
    const { bytes } = (await store.get(name)) as { bytes: Uint8Array }
    bytes[3500] = (bytes[3500] as number) ^ 1
    await store.put(name, bytes)
    const db = await open({ store }, BLOBS)
    expect(await outcomeOf(db.get('key-000003'))).toBe('CORRUPTION')
    expect(await textOf(db.get('key-000002'))).toBe(numbered(2, 3, 1000)[0]?.[1])
    await db.close()
    expect((await verify({ store })).problems).toEqual([])
    expect((await verify({ store }, { deep: true })).problems).toMatchObject([{ object: name, missing: false }])
  })

  test('a file in the place of another is seen', async () => {
    const { store, name } = await stored()
    const { bytes } = (await store.get(name)) as { bytes: Uint8Array }
    const db = await open({ store }, { ...BLOBS, compression: 'none' })
    await putAll(db, numbered(20, 30, 1000))
    await db.flush()
    const other = (await namesIn(store, 'blob/')).find((each) => each !== name) as string
    await store.put(other, bytes)
    expect(await outcomeOf(db.get('key-000025'))).toBe('CORRUPTION')
    await db.close()
  })
})

test('bad options are INVALID at the call', async () => {
  const store = new MemoryObjectStore()
  for (const options of [{ blobThresholdBytes: 1 }, { blobThresholdBytes: -1 }, { blobGarbagePercent: 95 }, { blobThresholdBytes: 1.5 }]) {
    expect(await outcomeOf(open({ store }, { ...SMALL, ...options }))).toBe('INVALID')
  }
  expect(await outcomeOf(open({ store }, { ...SMALL, keyspaces: { k: { blobThresholdBytes: 255 } } }))).toBe('INVALID')
  expect(await namesIn(store, '')).toEqual([])
})

/** Background compactions have nothing more to do. */
async function idle(db: Db): Promise<void> {
  for (let quiet = 0; quiet < 5; ) {
    const before = db.stats().compaction.compactions
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { running, compactions } = db.stats().compaction
    quiet = running === undefined && compactions === before ? quiet + 1 : 0
  }
}

