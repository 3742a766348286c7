// Invariant: memtables, caches, uploads and read-ahead of all databases of a budget stay within it; what is larger than its
// share gets through alone; nobody waits for somebody who waits; and a closed database has given everything back.
import { FaultyObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { clone, type Db, type EngineEvents, MemoryBudget, open, openReader } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

const MIB = 1024 * 1024

/** Memtables and caches follow from the budget; blocks and tables are small, so that small data makes many of them. */
const { memtableSizeBytes: _m, blockCacheSizeBytes: _b, metadataCacheSizeBytes: _c, ...NO_SIZES } = SMALL
const BUDGETED = { ...NO_SIZES, targetFileSizeBytes: 128 * 1024, levelBaseSizeBytes: MIB }

function used(budget: MemoryBudget): number {
  return budget.stats().usedBytes
}

/** Puts entry after entry, so that none is held back for long, and looks at the budget after each. */
async function load(db: Db, budget: MemoryBudget, entries: readonly [string, string][]): Promise<number> {
  let most = 0
  for (const [key, value] of entries) {
    await db.put(key, value)
    most = Math.max(most, used(budget))
  }
  return most
}

async function readAll(db: Db, keys: readonly string[]): Promise<void> {
  for (const key of keys) expect(await db.get(key)).toBeDefined()
}

describe('a budget of one database', () => {
  test('is kept while ten times as much is written and read, and is empty after close', async () => {
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const db = await open({ store: new MemoryObjectStore() }, { ...BUDGETED, memoryBudget: budget })
    const entries = numbered(0, 4_000, 10_000)
    const most = await load(db, budget, entries)
    expect(most).toBeGreaterThan(MIB)
    expect(most).toBeLessThanOrEqual(4 * MIB)
    await db.flush()
    for (const [key] of entries) {
      expect(await db.get(key)).toBeDefined()
      expect(used(budget)).toBeLessThanOrEqual(4 * MIB)
    }
    const { blockCache, metadataCache } = db.stats().memory
    // What the memtables do not need is what the caches have.
    expect(blockCache + metadataCache).toBeGreaterThan(2.5 * MIB)
    expect(Object.keys(await contents(db))).toHaveLength(4_000)
    expect(used(budget)).toBeLessThanOrEqual(4 * MIB)
    await db.close()
    expect(budget.stats()).toMatchObject({ usedBytes: 0, databases: 0 })
  })

  test('what only waits to be used again shrinks when memtables grow', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...BUDGETED, memoryBudget: 16 * MIB, memtableSizeBytes: 4 * MIB })
    const entries = numbered(0, 3_500, 5_000)
    await putAll(db, entries)
    await db.flush()
    await readAll(db, entries.map(([key]) => key))
    const before = db.stats().memory
    for (let i = 0; i < 300; i++) await db.put(`new-${i}`, 'v'.repeat(8_000))
    const after = db.stats().memory
    expect(after.memtables).toBeGreaterThan(before.memtables + 2 * MIB)
    const cached = ({ blockCache, memtablePool }: typeof before): number => blockCache + memtablePool
    expect(cached(after)).toBeLessThan(cached(before) - MIB)
    expect(after.usedBytes).toBeLessThanOrEqual(16 * MIB)
    expect(after.budget).toMatchObject({ totalBytes: 16 * MIB, usedBytes: after.usedBytes })
    await db.close()
  })

  test('a value far larger than the budget gets through, and the writes after it', async () => {
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const db = await open({ store: new MemoryObjectStore() }, { ...BUDGETED, memoryBudget: budget })
    const huge = new Uint8Array(20 * MIB).fill(7)
    const puts = [db.put('before', '1'), db.put('huge', huge), db.put('after', '2'), db.put('huge too', huge), db.put('last', '3')]
    await Promise.all(puts)
    expect((await db.get('huge'))?.length).toBe(huge.length)
    await db.flush()
    expect((await db.get('huge too'))?.length).toBe(huge.length)
    expect(await textOf(db.get('last'))).toBe('3')
    expect(used(budget)).toBeLessThanOrEqual(4 * MIB)
    await db.close()
    expect(used(budget)).toBe(0)
  })

  test('without a budget memory is counted all the same, and nothing is limited', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await putAll(db, numbered(0, 500))
    await db.flush()
    await contents(db)
    const { memory, cache } = db.stats()
    expect(memory.budget).toBeUndefined()
    expect(memory.blockCache).toBe(cache.blockCacheBytes)
    expect(memory.metadataCache).toBe(cache.metadataBytes)
    expect(memory.memtables + memory.memtablePool).toBeGreaterThan(0)
    expect([memory.uploads, memory.readAhead, memory.heldMemtables]).toEqual([0, 0, 0])
    await db.close()
  })

  test('what a stall waits for stands in its event, and `resume` ends it', async () => {
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(new MemoryObjectStore({ clock }), () => undefined, { clock })
    const db = await open({ store }, { ...QUIET, clock, memoryBudget: 4 * MIB, memtableSizeBytes: 64 * MIB, maxSealedMemtables: 8 })
    const heard: (EngineEvents['stall'] | EngineEvents['resume'])[] = []
    db.on('stall', (event) => heard.push(event))
    db.on('resume', (event) => heard.push(event))
    store.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    const puts = Array.from({ length: 20 }, (_, i) => db.put(`k${i}`, 'v'.repeat(150_000)))
    await clock.advance(300)
    const { held } = db.stats().writes
    expect(held).toBeGreaterThan(0)
    expect(heard).toEqual([{ reason: 'memory', usedBytes: expect.any(Number), limitBytes: 4 * MIB * 0.4, memtableBytes: expect.any(Number) }])
    expect(db.stats().writes).toMatchObject({ stalls: 1, stallsByReason: { memory: 1 }, stalledMs: 300, stalledBy: 'memory' })
    store.plan = () => undefined
    await clock.drive(Promise.all(puts))
    expect(heard[1]).toMatchObject({ reason: 'memory', heldWrites: held, durationMs: expect.any(Number) })
    await clock.drive(db.flush())
    expect(heard.filter((event) => 'durationMs' in event)).toHaveLength(heard.length / 2)
    expect(db.stats().writes).toMatchObject({ held: 0, stalledBy: undefined })
    const { stalledMs } = db.stats().writes
    await clock.advance(1_000)
    expect(db.stats().writes.stalledMs).toBe(stalledMs)
    await clock.drive(db.close())
  })
})

describe('pitfall 22: writing while a scan of the same loop is open', () => {
  test('the scan keeps memtables, and yet no write waits for it', async () => {
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const db = await open({ store: new MemoryObjectStore() }, { ...BUDGETED, memoryBudget: budget })
    await putAll(db, numbered(0, 60, 10_000))
    let rounds = 0
    for await (const [key] of db.scan({ prefix: 'key-' })) {
      for (let i = 0; i < 20; i++) await db.put(`copy-${i}-${rounds}`, 'v'.repeat(10_000))
      expect(key.length).toBeGreaterThan(0)
      rounds++
    }
    expect(rounds).toBe(60)
    await db.flush()
    expect(db.stats().memory).toMatchObject({ heldMemtables: 0, readAhead: 0 })
    await db.close()
    expect(used(budget)).toBe(0)
  })

  test('only the memtables of its own view are kept for it', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, ...BUDGETED, memoryBudget: 16 * MIB, memtableSizeBytes: MIB })
    await db.put('a', '1')
    await db.put('b', '2')
    const scan = db.scan()
    await scan.next()
    for (let i = 0; i < 400; i++) await db.put(`later-${i}`, 'v'.repeat(20_000))
    await db.flush()
    const { heldMemtables } = db.stats().memory
    expect(heldMemtables).toBeGreaterThan(0)
    expect(heldMemtables).toBeLessThan(2 * MIB)
    await scan.return()
    expect(db.stats().memory.heldMemtables).toBe(0)
    await db.close()
  })
})

describe('a budget of several databases', () => {
  async function pair(budget: MemoryBudget): Promise<[Db, Db]> {
    const options = { ...BUDGETED, memoryBudget: budget, memtableSizeBytes: 64 * MIB, maxSealedMemtables: 8 }
    return [await open({ store: new MemoryObjectStore() }, options), await open({ store: new MemoryObjectStore() }, options)]
  }

  test('the one with the largest memtable flushes, although another one writes', async () => {
    const budget = new MemoryBudget({ totalBytes: 8 * MIB })
    const [idle, busy] = await pair(budget)
    await load(idle, budget, numbered(0, 200, 10_000))
    expect(idle.stats().flushedSequence).toBe(0)
    const most = await load(busy, budget, numbered(0, 300, 5_000))
    expect(idle.stats().flushedSequence).toBe(200)
    expect(most).toBeLessThanOrEqual(8 * MIB)
    await idle.close()
    await busy.close()
    expect(used(budget)).toBe(0)
  })

  test('both stay within it while they write and read in turns', async () => {
    const budget = new MemoryBudget({ totalBytes: 8 * MIB })
    const [one, two] = await pair(budget)
    const entries = numbered(0, 1_500, 10_000)
    const most = await Promise.all([load(one, budget, entries), load(two, budget, entries)])
    expect(Math.max(...most)).toBeLessThanOrEqual(8 * MIB)
    await Promise.all([readAll(one, entries.map(([key]) => key)), readAll(two, entries.map(([key]) => key))])
    expect(used(budget)).toBeLessThanOrEqual(8 * MIB)
    const sum = one.stats().memory.usedBytes + two.stats().memory.usedBytes
    expect(budget.stats()).toMatchObject({ usedBytes: sum, databases: 2 })
    await Promise.all([one.close(), two.close()])
    expect(used(budget)).toBe(0)
  })

  test('pitfall 22: one whose store is away does not stop the other', async () => {
    const clock = new SimulatedClock()
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const away = new FaultyObjectStore(new MemoryObjectStore({ clock }), () => undefined, { clock })
    const options = { ...BUDGETED, clock, memoryBudget: budget, memtableSizeBytes: 64 * MIB, maxSealedMemtables: 8 }
    const stuck = await open({ store: away }, { ...options, closeTimeoutMs: 1_000 })
    const well = await open({ store: new MemoryObjectStore({ clock }) }, options)
    away.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    const outcomes = Array.from({ length: 20 }, (_, i) => outcomeOf(stuck.put(`k${i}`, 'v'.repeat(150_000))))
    expect(stuck.stats().writes.held).toBeGreaterThan(0)
    for (const [key, value] of numbered(0, 300, 10_000)) await clock.drive(well.put(key, value))
    expect(Object.keys(await clock.drive(contents(well)))).toHaveLength(300)
    await clock.drive(well.close())
    await clock.drive(stuck.close().catch(() => {}))
    expect(await Promise.all(outcomes)).toContain('CLOSED')
    expect(used(budget)).toBe(0)
  })

  test('pitfall 22: writes that wait for another database go on when that one is closed', async () => {
    const clock = new SimulatedClock()
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const options = { ...QUIET, clock, memoryBudget: budget, memtableSizeBytes: 64 * MIB, maxSealedMemtables: 8, closeTimeoutMs: 1_000 }
    const stores = [0, 1].map(() => new FaultyObjectStore(new MemoryObjectStore({ clock }), () => undefined, { clock }))
    const one = await open({ store: stores[0] as FaultyObjectStore }, options)
    const two = await open({ store: stores[1] as FaultyObjectStore }, options)
    for (const store of stores) store.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    for (let i = 0; i < 8; i++) await one.put(`k${i}`, 'v'.repeat(150_000))
    const waiting: Promise<string>[] = []
    for (let i = 0; i < 10; i++) waiting.push(outcomeOf(two.put(`k${i}`, 'v'.repeat(150_000))))
    const { held } = two.stats().writes
    expect(held).toBeGreaterThan(2)
    await clock.drive(one.close().catch(() => {}))
    expect(two.stats().writes.held).toBeLessThan(held)
    for (const store of stores) store.plan = () => undefined
    expect(new Set(await clock.drive(Promise.all(waiting)))).toEqual(new Set(['ok']))
    await clock.drive(two.close())
    expect(used(budget)).toBe(0)
  })

  test('pitfall 22: a fenced database counts for nobody who waits', async () => {
    const clock = new SimulatedClock()
    const budget = new MemoryBudget({ totalBytes: 4 * MIB })
    const options = { ...QUIET, clock, memtableSizeBytes: 64 * MIB, maxSealedMemtables: 8, closeTimeoutMs: 1_000 }
    const inner = new MemoryObjectStore({ clock })
    const away = new FaultyObjectStore(inner, () => undefined, { clock })
    const fenced = await open({ store: away }, { ...options, memoryBudget: budget })
    const two = await open({ store: new MemoryObjectStore({ clock }) }, { ...options, memoryBudget: budget })
    away.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    const outcomes = Array.from({ length: 20 }, (_, i) => outcomeOf(fenced.put(`k${i}`, 'v'.repeat(150_000))))
    const next = await open({ store: inner }, { ...QUIET, clock })
    away.plan = () => undefined
    expect(await clock.drive(Promise.all(outcomes))).toContain('FENCED')
    expect(budget.stats()).toMatchObject({ memtables: two.stats().memory.memtables })
    expect(budget.stats().heldMemtables).toBeGreaterThan(0)
    await clock.drive(fenced.close().catch(() => {}))
    expect(budget.stats().heldMemtables).toBe(0)
    await next.close()
    await clock.drive(two.close())
    expect(used(budget)).toBe(0)
  })
})

describe('everything is given back', () => {
  test('by readers, clones, failed openings, restores and failed closes', async () => {
    const budget = new MemoryBudget({ totalBytes: 16 * MIB })
    const store = new MemoryObjectStore()
    const options = { ...SMALL, memoryBudget: budget }
    const db = await open({ store, prefix: 'a' }, options)
    await putAll(db, numbered(0, 500))
    const checkpoint = await db.checkpoint({ name: 'c' })
    await putAll(db, numbered(500, 900))
    await contents(db)
    await db.restore(checkpoint.id)
    expect(Object.keys(await contents(db))).toHaveLength(500)
    const reader = await openReader({ store, prefix: 'a' }, { memoryBudget: budget })
    for await (const batch of reader.scanBatches()) expect(batch.length).toBeGreaterThan(0)
    expect(reader.stats().memory.budget).toMatchObject({ databases: 2 })
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const copy = await open({ store, prefix: 'b' }, options)
    expect(Object.keys(await contents(copy))).toHaveLength(500)
    expect(await outcomeOf(open({ store, prefix: 'none' }, { ...options, createIfMissing: false }))).toBe('INVALID')
    expect(await outcomeOf(openReader({ store, prefix: 'none' }, { memoryBudget: budget }))).toBe('INVALID')
    expect(budget.stats().databases).toBe(3)
    const unfinished = copy.scan()
    await unfinished.next()
    await Promise.all([db.close(), reader.close(), copy.close()])
    for (const closed of [db, reader, copy]) expect(closed.stats().cache).toMatchObject({ blockCacheBytes: 0, metadataBytes: 0 })
    expect(budget.stats()).toMatchObject({ usedBytes: 0, databases: 0 })
  })

  test('a scan that is given up in the middle of its read-ahead holds nothing', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, blockCacheSizeBytes: 0 })
    await putAll(db, numbered(0, 20_000, 100))
    await db.flush()
    for (const steps of [1, 40, 4_000, 12_000]) {
      const scan = db.scan()
      for (let i = 0; i < steps; i++) await scan.next()
      expect(db.stats().memory.readAhead).toBeGreaterThan(0)
      void scan.next()
      await scan.return()
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(db.stats().memory.readAhead).toBe(0)
    }
    await db.close()
  })
})

describe('the option', () => {
  test('is a MemoryBudget or a number of bytes, and nothing else', async () => {
    const store = new MemoryObjectStore()
    for (const memoryBudget of [0, 1.5, 4 * MIB - 1, '64 MB', {}, null]) {
      const bad = { memoryBudget } as never
      expect(await outcomeOf(open({ store }, bad))).toBe('INVALID')
      expect(await outcomeOf(openReader({ store }, bad))).toBe('INVALID')
    }
  })

  test('sizes that are given stay what they are', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, memoryBudget: 64 * MIB, blockCacheSizeBytes: 32 * 1024 })
    await putAll(db, numbered(0, 2_000, 200))
    await db.flush()
    await contents(db)
    await readAll(db, numbered(0, 2_000).map(([key]) => key))
    expect(db.stats().memory.blockCache).toBeLessThanOrEqual(32 * 1024)
    await db.close()
  })
})
