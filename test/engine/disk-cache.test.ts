// Invariant: with a disk cache a block is fetched from the store once, also by the processes that come after; whatever
// happens to its folder, reads answer what they answer without it.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { type Db, type DbReader, open, openReader, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, numbered, putAll, QUIET, textOf } from './subject.ts'

const MIB = 1024 * 1024
const ENTRIES = numbered(0, 2_000, 100)

let folder: string
let store: CountingObjectStore
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-disk-'))
  store = new CountingObjectStore(new MemoryObjectStore())
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Next to no memory cache, so that reads come to the disk. */
function options(more: OpenOptions = {}): OpenOptions {
  const small = { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 }
  return { ...QUIET, ...small, workerThreads: 0, diskCache: { folder: join(folder, 'cache'), sizeBytes: 4 * MIB }, ...more }
}

async function getsOf(work: () => Promise<unknown>): Promise<number> {
  const before = store.snapshot().operations.get.requests
  await work()
  return store.snapshot().operations.get.requests - before
}

async function filled(): Promise<void> {
  const db = await open({ store }, options({ diskCache: undefined as never }))
  await putAll(db, ENTRIES)
  await db.compact()
  await db.close()
}

/** Reads everything, and waits until what was fetched is on the disk. */
async function readAll(db: Db | DbReader): Promise<void> {
  for (const [key, value] of ENTRIES) expect(await textOf(db.get(key))).toBe(value)
  await written(db)
}

async function written(db: Db | DbReader): Promise<void> {
  while ((db.stats().cache.disk?.queuedBytes ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve))
}

describe('point reads', () => {
  test('a process that comes after reads blocks and tails that were read before without a GET', async () => {
    await filled()
    const first = await open({ store }, options())
    expect(await getsOf(() => readAll(first))).toBeGreaterThan(50)
    expect(await getsOf(() => readAll(first))).toBe(0)
    await first.close()

    const second = await open({ store }, options())
    expect(await getsOf(() => readAll(second))).toBe(0)
    expect(second.stats().cache).toMatchObject({ blockLoads: 0, metadataLoads: 0 })
    expect(second.stats().cache.disk).toMatchObject({ state: 'on', misses: 0, failures: 0, droppedWrites: 0 })
    await second.close()

    const reader = await openReader({ store }, { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0, diskCache: { folder: join(folder, 'cache'), sizeBytes: 4 * MIB } })
    expect(await getsOf(() => readAll(reader))).toBe(0)
    expect(reader.stats().cache.disk?.hits).toBeGreaterThan(1_000)
    await reader.close()
  })

  test('short scans use it, too', async () => {
    await filled()
    const first = await open({ store }, options())
    await readAll(first)
    const range = { gte: 'key-000500', limit: 20 }
    expect(await getsOf(async () => expect(Object.keys(await contents(first, range))).toHaveLength(20))).toBe(0)
    await first.close()
  })

  test('the tail of a table that was written here is there for the next process', async () => {
    const first = await open({ store }, options())
    await putAll(first, ENTRIES.slice(0, 20))
    await first.flush()
    await first.close()
    const second = await open({ store }, options())
    expect(await getsOf(() => second.get('key-000001'))).toBe(1)
    await second.close()
  })
})

test('long scans and the inputs of compactions do not fill it', async () => {
  await filled()
  const large = { blockCacheSizeBytes: 4 * MIB, metadataCacheSizeBytes: MIB, targetFileSizeBytes: 8 * MIB }
  const db = await open({ store }, options({ ...large, compression: 'none' }))
  const blocksOnDisk = (): number => db.stats().cache.disk?.blocks ?? 0
  await db.compact()
  await written(db)
  const [tables, after] = [db.stats().files, blocksOnDisk()]
  expect(tables).toBe(1)
  expect(after).toBe(tables)
  expect(Object.keys(await contents(db))).toHaveLength(ENTRIES.length)
  await written(db)
  // A scan begins as a point read does.
  expect(blocksOnDisk() - after).toBeLessThan(20)
  expect(db.stats().sizeBytes / 1024).toBeGreaterThan(200)
  await db.close()
})

test('tables that left the database are forgotten, at once or by the next process', async () => {
  await filled()
  const db = await open({ store }, options())
  await readAll(db)
  const before = db.stats().cache.disk?.blocks ?? 0
  await putAll(db, ENTRIES)
  await db.compact()
  await written(db)
  expect(db.stats().cache.disk?.blocks).toBeLessThan(before / 2)
  await db.close()
  const without = await open({ store }, options({ diskCache: undefined as never }))
  await putAll(without, ENTRIES)
  await without.compact()
  await without.close()
  const next = await open({ store }, options())
  expect(next.stats().cache.disk?.blocks).toBe(0)
  await next.close()
})

describe('whose folder it is', () => {
  test('the folder of another database is INVALID at open, before anybody is fenced', async () => {
    const mine = await open({ store, prefix: 'a' }, options())
    const other = await open({ store, prefix: 'b' }, options({ diskCache: undefined as never }))
    await expect(open({ store, prefix: 'b' }, options())).rejects.toMatchObject({ code: 'INVALID' })
    await other.put('k', 'v')
    await other.flush()
    await mine.close()
    await other.close()
    const small = { folder: join(folder, 'cache'), sizeBytes: MIB }
    await expect(openReader({ store, prefix: 'b' }, { diskCache: small })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('a writer and two readers of one database share a folder', async () => {
    await filled()
    const db = await open({ store }, options())
    const diskCache = { folder: join(folder, 'cache'), sizeBytes: MIB }
    const readers = await Promise.all([1, 2].map(() => openReader({ store }, { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0, diskCache })))
    for (let round = 0; round < 2; round++) await Promise.all([db, ...readers].map(readAll))
    for (const { disk } of [db, ...readers].map((each) => each.stats().cache)) expect(disk).toMatchObject({ state: 'on', failures: 0 })
    await Promise.all(readers.map((reader) => reader.close()))
    await db.close()
    expect(readdirSync(join(folder, 'cache')).sort()).toEqual(['lane-0', 'lane-1', 'lane-2', 'moraine-cache'])
  })

  test('a restore in place keeps the cache', async () => {
    await filled()
    const db = await open({ store }, options())
    await db.checkpoint({ name: 'c' })
    await readAll(db)
    await db.put('more', '1')
    await db.restore('c')
    expect(await getsOf(() => readAll(db))).toBe(0)
    await db.close()
  })
})

describe('trouble', () => {
  const failures: ((path: string) => void)[] = [
    (path) => rmSync(path, { recursive: true }),
    (path) => writeFileSync(path, readFileSync(path).subarray(0, statSync(path).size >> 1)),
    (path) => writeFileSync(path, new SeededRandom(9).fill(new Uint8Array(statSync(path).size))),
  ]
  for (const [n, damage] of failures.entries()) {
    test(`files deleted, cut and overwritten while it is open and between openings (${n})`, async () => {
      await filled()
      const db = await open({ store }, options())
      await readAll(db)
      for (const path of filesOf(folder)) damage(path)
      await readAll(db)
      await readAll(db)
      await db.close()
      for (const path of filesOf(folder)) damage(path)
      const again = await open({ store }, options())
      await readAll(again)
      await again.close()
    })
  }

  test('a folder that cannot be used: the database opens, and reads go to the store', async () => {
    await filled()
    mkdirSync(join(folder, 'cache'))
    writeFileSync(join(folder, 'cache', 'lane-0'), 'a file where a folder should be')
    const db = await open({ store }, options())
    await readAll(db)
    expect(db.stats().cache.disk).toMatchObject({ state: 'off', failures: 1 })
    await db.close()
  })
})

test('bad options are INVALID at the call', async () => {
  const wrong: unknown[] = ['folder', { folder: '' }, { folder, sizeBytes: 1 }, { sizeBytes: MIB }, { folder, sizeBytes: MIB, other: 1 }, null]
  for (const diskCache of wrong) {
    await expect(open({ store }, { diskCache } as never)).rejects.toMatchObject({ code: 'INVALID' })
    await expect(openReader({ store }, { diskCache } as never)).rejects.toMatchObject({ code: 'INVALID' })
  }
})

function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
}
