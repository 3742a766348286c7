// Invariant: what one call deletes costs reads nothing and comes back as space by itself, unread, however much it is; so does
// what has expired; and nothing of it while a snapshot can see it.
import { MemoryObjectStore, type ObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type CompactionReport, type Db, open, openReader, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, putAll, QUIET } from './subject.ts'

class CallLog extends WrappedObjectStore {
  readonly calls: string[] = []

  of(what: RegExp): number {
    return this.calls.filter((call) => what.test(call)).length
  }

  protected override around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    this.calls.push(`${call.operation} ${'key' in call ? String(call.key) : ''}`)
    return run()
  }
}

const OPTIONS: OpenOptions = { ...QUIET, targetFileSizeBytes: 16 * 1024, compression: 'none', blockCacheSizeBytes: 0, gcIntervalMs: 0 }

async function filled(store: ObjectStore, keys: number, options: OpenOptions = OPTIONS): Promise<Db> {
  const db = await open({ store }, options)
  await putAll(db, numbered(0, keys, 60))
  await db.compact()
  return db
}

const tables = (db: Db): number => db.stats().levels.reduce((sum, { files }) => sum + files, 0)

describe('a range delete', () => {
  test.each([1000, 15_000])('over %i keys: reads fetch the same few blocks, and the tables leave unread', async (keys) => {
    const log = new CallLog(new MemoryObjectStore())
    const db = await filled(log, keys)
    const reports: CompactionReport[] = []
    db.on('compaction', (report) => reports.push(report))
    // The snapshot holds the tables, so that reads have something to walk through.
    const snapshot = db.snapshot()
    await db.deleteRange({ gte: 'key-000010', lt: `key-${String(keys - 10).padStart(6, '0')}` })
    await db.flush()
    expect(tables(db)).toBeGreaterThan(keys / 300)

    const reader = await openReader({ store: log }, { blockCacheSizeBytes: 0, refreshIntervalMs: 0 })
    log.calls.length = 0
    for (const options of [{}, { reverse: true }]) expect(Object.keys(await contents(reader as never, options))).toHaveLength(20)
    expect(await reader.get('key-000200')).toBeUndefined()
    // Blocks at both ends, and the metadata of what was met on the way: the same for any number of keys.
    expect(log.of(/^get sst/)).toBeLessThan(16)
    await reader.close()
    expect(Object.keys(await contents(db, { snapshot }))).toHaveLength(keys)
    expect(reports).toEqual([])

    snapshot.close()
    log.calls.length = 0
    await db.put('later', 'x')
    await db.flush()
    await expect.poll(() => reports.map(({ reason }) => reason)).toEqual(['dead'])
    expect(reports[0]).toMatchObject({ outputFiles: 0, outputBytes: 0 })
    expect(log.of(/^get/)).toBe(0)
    // One at each end, the range delete itself, and the latest write.
    expect(tables(db)).toBeLessThanOrEqual(4)
    await expect.poll(async () => (await log.list('sst/')).objects.length).toBeLessThanOrEqual(4)
    expect(Object.keys(await contents(db))).toHaveLength(21)
    await db.close()
  })

  test('a compaction does not read the tables that it deletes as a whole', async () => {
    const log = new CallLog(new MemoryObjectStore())
    const db = await open({ store: log }, { ...OPTIONS, metadataCacheSizeBytes: 0 })
    // Older than all of it: the background takes no chances, the merge knows better.
    const held = db.snapshot()
    await putAll(db, numbered(0, 6000, 60))
    await db.compact()
    await db.deleteRange({ lt: 'key-005990' })
    await db.flush()
    const before = tables(db)
    log.calls.length = 0
    await db.compact()
    expect(log.of(/^get/)).toBeLessThan(before / 3)
    expect(tables(db)).toBeLessThan(3)
    expect(Object.keys(await contents(db))).toHaveLength(10)
    held.close()
    await db.close()
  })

  test('tables with what a snapshot can see stay, and go after it', async () => {
    const db = await filled(new MemoryObjectStore(), 1000)
    const snapshot = db.snapshot()
    await db.deleteRange({})
    await db.flush()
    await db.put('a', '1')
    await db.flush()
    expect(Object.keys(await contents(db, { snapshot }))).toHaveLength(1000)
    snapshot.close()
    await db.put('a', '2')
    await db.flush()
    await expect.poll(() => tables(db)).toBeLessThan(4)
    expect(await contents(db)).toEqual({ a: '2' })
    await db.close()
  })

  test('newer writes into the range stay', async () => {
    const db = await filled(new MemoryObjectStore(), 1000)
    await db.put('key-000500', 'second life')
    await db.flush()
    await db.deleteRange({ lt: 'key-000400' })
    await db.deleteRange({ gte: 'key-000600' })
    await db.put('key-000300', 'third life')
    await db.flush()
    await expect.poll(() => db.stats().compaction.compactions).toBeGreaterThan(1)
    const left = await contents(db)
    expect(Object.keys(left)).toHaveLength(201)
    expect(left).toMatchObject({ 'key-000300': 'third life', 'key-000500': 'second life' })
    await db.close()
  })
})

describe('expired tables', () => {
  test('leave by themselves when their time has come, for one commit and no read; nothing is asked before or after', async () => {
    const clock = new SimulatedClock()
    const memory = new MemoryObjectStore({ clock })
    const log = new CallLog(memory)
    const db = await clock.drive(open({ store: log }, { ...OPTIONS, clock, ttlMs: 3_600_000 }))
    await clock.drive(putAll(db, numbered(0, 500, 60)))
    await clock.drive(db.compact())
    expect(tables(db)).toBeGreaterThan(2)
    await clock.advance(10_000)
    log.calls.length = 0
    await clock.advance(3_500_000)
    expect(log.calls).toEqual([])
    await clock.advance(200_000)
    expect(tables(db)).toBe(0)
    expect(log.of(/^get/)).toBe(0)
    expect((await memory.list('sst/')).objects).toEqual([])
    log.calls.length = 0
    await clock.advance(7_200_000)
    expect(log.calls).toEqual([])
    await clock.drive(db.close())
  })

  test('pitfall 37: one that hides older values of its keys is merged with them instead', async () => {
    const clock = new SimulatedClock()
    const db = await clock.drive(open({ store: new MemoryObjectStore({ clock }) }, { ...OPTIONS, clock }))
    await clock.drive(putAll(db, numbered(0, 200, 60)))
    await clock.drive(db.compact())
    await clock.drive(Promise.all(numbered(50, 150).map(([key]) => db.put(key, 'short', { ttlMs: 60_000 }))))
    await clock.drive(db.flush())
    await clock.advance(120_000)
    expect(Object.keys(await clock.drive(contents(db)))).toHaveLength(100)
    expect(db.stats().levels[0]?.files).toBe(0)
    await clock.drive(db.close())
  })

  test('a snapshot from before keeps them until it is closed', async () => {
    const clock = new SimulatedClock()
    const db = await clock.drive(open({ store: new MemoryObjectStore({ clock }) }, { ...OPTIONS, clock, ttlMs: 60_000 }))
    await clock.drive(putAll(db, numbered(0, 200, 60)))
    await clock.drive(db.flush())
    const snapshot = db.snapshot()
    await clock.advance(300_000)
    expect(Object.keys(await clock.drive(contents(db)))).toHaveLength(0)
    expect(Object.keys(await clock.drive(contents(db, { snapshot })))).toHaveLength(200)
    snapshot.close()
    await clock.advance(120_000)
    expect(tables(db)).toBe(0)
    await clock.drive(db.close())
  })
})
