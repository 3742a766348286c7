// Invariant: compact(range) leaves one sorted run without tombstones and superseded versions, beside whatever else goes on; stats() tells
// what compaction cost; tables full of tombstones and tables that are too old are compacted by themselves.
import { MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type CompactionReport, type Db, open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, putAll, QUIET, SMALL } from './subject.ts'

const LEVELED: OpenOptions = SMALL
const TIERED: OpenOptions = { ...SMALL, compaction: 'tiered' }

function openAt(store: MemoryObjectStore, options: OpenOptions): Promise<Db> {
  return open({ store, prefix: 'db' }, options)
}

function levelsInUse(db: Db): number[] {
  return db.stats().levels.filter(({ files }) => files > 0).map(({ level }) => level)
}

function entries(db: Db): number {
  return db.stats().levels.reduce((count, level) => count + level.entries, 0)
}

/** Resolves when a compaction for this reason has ended. */
function compacted(db: Db, reason: CompactionReport['reason']): Promise<CompactionReport> {
  return new Promise((resolve) => {
    db.on('compaction', (report) => {
      if (report.reason === reason) resolve(report)
    })
  })
}

describe.each([
  ['leveled', LEVELED],
  ['tiered', TIERED],
  ['without background', QUIET],
])('compact, %s', (_style, options) => {
  test('leaves one sorted run and no tombstone', async () => {
    const db = await openAt(new MemoryObjectStore(), options)
    for (let round = 0; round < 5; round++) {
      await putAll(db, numbered(0, 200, 50))
      await db.flush()
    }
    for (const [key] of numbered(0, 200)) if (!key.endsWith('7')) await db.delete(key)
    await db.compact()
    expect(levelsInUse(db)).toHaveLength(1)
    expect(entries(db)).toBe(20)
    expect(Object.keys(await contents(db))).toHaveLength(20)
    await db.close()
  })

  test('drops what only a closed snapshot could see', async () => {
    const db = await openAt(new MemoryObjectStore(), options)
    await putAll(db, numbered(0, 100))
    const snapshot = db.snapshot()
    for (const [key] of numbered(0, 100)) await db.delete(key)
    await db.compact()
    expect(entries(db)).toBe(200)
    expect(Object.keys(await contents(db, { snapshot }))).toHaveLength(100)
    snapshot.close()
    await db.compact()
    expect(entries(db)).toBe(0)
    await db.close()
  })

  test('of a range leaves the rest alone', async () => {
    const db = await openAt(new MemoryObjectStore(), options)
    await putAll(db, numbered(0, 100))
    await db.compact()
    for (const [key] of numbered(0, 10)) await db.delete(key)
    await putAll(db, numbered(50, 60, 30))
    await db.compact({ gte: 'key-000000', lt: 'key-000010' })
    expect(Object.keys(await contents(db))).toHaveLength(90)
    await db.close()
  })
})

test('compact ends while writes, flushes and background compactions go on', async () => {
  const db = await openAt(new MemoryObjectStore(), LEVELED)
  const stop = new AbortController()
  const writer = (async () => {
    for (let round = 0; !stop.signal.aborted || round < 20; round++) {
      await putAll(db, numbered(0, 100, 40))
      await db.flush()
    }
  })()
  for (let i = 0; i < 5; i++) await db.compact()
  stop.abort()
  await writer
  expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 100, 40)))
  await db.close()
})

test('stats count what flushes and compactions wrote', async () => {
  const db = await openAt(new MemoryObjectStore(), LEVELED)
  for (let round = 0; round < 6; round++) {
    await putAll(db, numbered(0, 300, 60))
    await db.flush()
  }
  await db.compact()
  const { compaction, levels, sizeBytes } = db.stats()
  expect(compaction).toMatchObject({ style: 'leveled', sortedRuns: 1, spaceAmplification: 1 })
  expect(compaction.flushedBytes).toBeGreaterThan(sizeBytes)
  expect(levels.reduce((bytes, level) => bytes + level.writtenBytes, 0)).toBe(compaction.flushedBytes + compaction.writtenBytes)
  expect(levels.reduce((bytes, level) => bytes + level.compactedFromBytes, 0)).toBe(compaction.readBytes)
  expect(compaction.writeAmplification).toBeCloseTo(1 + compaction.writtenBytes / compaction.flushedBytes)
  expect(levels.every(({ score }) => score < 1)).toBe(true)
  await db.close()
})

test('tables written in key order change their level without being rewritten', async () => {
  const db = await openAt(new MemoryObjectStore(), TIERED)
  const reports: CompactionReport[] = []
  db.on('compaction', (report) => reports.push(report))
  for (let part = 0; part < 8; part++) {
    await putAll(db, numbered(part * 50, part * 50 + 50))
    await db.flush()
  }
  await expect.poll(() => db.stats().levels[6]?.files).toBe(8)
  expect(db.stats().compaction).toMatchObject({ writeAmplification: 1, writtenBytes: 0 })
  expect(reports.every(({ trivialMove }) => trivialMove)).toBe(true)
  await db.close()
})

test('tables full of tombstones go by themselves', async () => {
  const db = await openAt(new MemoryObjectStore(), { ...SMALL, level0CompactionTrigger: 4, level0StopTrigger: 8 })
  await putAll(db, numbered(0, 200))
  await db.compact()
  const done = compacted(db, 'tombstones')
  for (const [key] of numbered(0, 200)) await db.delete(key)
  await db.flush()
  await done
  await expect.poll(() => db.stats().files).toBe(0)
  await db.close()
})

test('tables that are too old are rewritten once', async () => {
  const clock = new SimulatedClock()
  const db = await openAt(new MemoryObjectStore(), { ...QUIET, clock, compactionMaxAgeMs: 60_000 })
  await putAll(db, numbered(0, 100))
  await db.compact()
  const reports: CompactionReport[] = []
  db.on('compaction', (report) => reports.push(report))
  await clock.advance(59_000)
  expect(reports).toEqual([])
  const done = compacted(db, 'age')
  await clock.advance(5_000)
  await done
  await clock.advance(50_000)
  expect(reports).toHaveLength(1)
  expect(Object.keys(await contents(db))).toHaveLength(100)
  await db.close()
})
