// Invariant: every request that a database makes is charged to what it was made for, so that the purposes add up to the
// total whatever happens; and each report says exactly what its work has asked of the store.
import { SeededRandom } from '@moraine/base'
import {
  addTally,
  CountingObjectStore,
  EMPTY_TALLY,
  FaultyObjectStore,
  MemoryObjectStore,
  type RequestCost,
  requestCount,
  type RequestTally,
  tallyOf,
} from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type CompactionReport, type Db, type EngineEvents, open, openReader, type OpenOptions, PRICE_TABLES, WriteBatch } from 'moraine'
import { openRemoteCompactor } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { numbered, putAll, QUIET, SMALL } from './subject.ts'

/** Requests that were made, without the classes of which there was none. */
function made({ requests }: RequestTally): Record<string, number> {
  return Object.fromEntries(Object.entries(requests).filter(([, count]) => count > 0))
}

function sumOf(costs: Iterable<RequestCost>): RequestTally {
  let sum: RequestTally = EMPTY_TALLY
  for (const cost of costs) sum = addTally(sum, cost)
  return sum
}

function plain({ requests, uploadedBytes, downloadedBytes }: RequestTally): RequestTally {
  return { requests, uploadedBytes, downloadedBytes }
}

function expectSums({ cost, store }: ReturnType<Db['stats']>): void {
  expect(sumOf(Object.values(cost.byPurpose))).toEqual(plain(cost))
  expect(plain(cost)).toEqual(tallyOf(store))
  expect(cost.byPurpose.other).toEqual({ ...EMPTY_TALLY, dollars: 0 })
}

/** The reports of one kind, as they come. */
function heard<Name extends keyof EngineEvents>(db: Db, name: Name): EngineEvents[Name][] {
  const reports: EngineEvents[Name][] = []
  db.on(name, (report) => reports.push(report))
  return reports
}

describe('the purposes add up to the total', () => {
  const logs: [kind: string, options: OpenOptions][] = [
    ['without a log', { wal: 'none' }],
    ['with a log in the store', { wal: 'object-store' }],
  ]
  for (const seed of [1, 2, 3]) {
    test.each(logs)(`in a long run on a store that fails, %s, seed ${seed}`, async (_kind, wal) => {
      const random = new SeededRandom(seed)
      const clock = new SimulatedClock()
      const faults = new SeededRandom(seed + 100)
      const store = new FaultyObjectStore(
        new MemoryObjectStore({ clock }),
        () => (faults.next() < 0.04 ? { kind: faults.next() < 0.5 ? 'fail' : 'loseReply' } : undefined),
        { clock },
      )
      const options = { ...SMALL, ...wal, clock, random, prices: 's3-express', gcIntervalMs: 60_000, gcGraceMs: 0 } as const
      const life = async (steps: number): Promise<Set<string>> => {
        const db = await clock.drive(open({ store, prefix: 'db' }, options))
        const used = new Set<string>()
        for (let step = 0; step < steps; step++) {
          await clock.drive(act(db, random))
          if (step % 10 === 0) await clock.advance(random.below(20_000))
          expectSums(db.stats())
        }
        await clock.drive(db.close())
        const stats = db.stats()
        expectSums(stats)
        for (const [purpose, cost] of Object.entries(stats.cost.byPurpose)) if (requestCount(cost) > 0) used.add(purpose)
        return used
      }
      const used = new Set([...(await life(150)), ...(await life(150))])
      const wanted = ['open', 'get', 'scan', 'flush', 'compaction', 'checkpoint', 'restore', 'gc']
      expect([...used]).toEqual(expect.arrayContaining(wal.wal === 'none' ? wanted : [...wanted, 'log']))
    })
  }

  test('in readers, with and without a lease', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore({ clock })
    const db = await clock.drive(open({ store }, { ...QUIET, wal: 'object-store', clock, random: new SeededRandom(1) }))
    await clock.drive(putAll(db, numbered(0, 500, 100)))
    await clock.drive(db.flush())
    for (const lease of [true, false]) {
      const reader = await clock.drive(openReader({ store }, { lease, blockCacheSizeBytes: 0, clock, random: new SeededRandom(2) }))
      await clock.drive(reader.get('key-000100'))
      await clock.drive(db.put('a', '1'))
      await clock.drive(db.flush())
      await clock.advance(300_000)
      for await (const batch of reader.scanBatches()) expect(batch.length).toBeGreaterThan(0)
      const { byPurpose } = reader.stats().cost
      expect(sumOf(Object.values(byPurpose))).toEqual(plain(reader.stats().cost))
      expect(requestCount(byPurpose.other)).toBe(0)
      for (const purpose of ['open', 'get', 'scan', 'refresh', 'log'] as const) {
        expect([purpose, requestCount(byPurpose[purpose]) > 0]).toEqual([purpose, true])
      }
      expect(requestCount(byPurpose.lease) > 0).toBe(lease)
      await clock.drive(reader.close())
    }
    await clock.drive(db.close())
  })
})

/** One random thing to do. */
async function act(db: Db, random: SeededRandom): Promise<void> {
  const key = (): string => `key-${String(random.below(400)).padStart(4, '0')}`
  const dice = random.below(20)
  if (dice < 8) {
    const batch = new WriteBatch()
    for (let i = random.below(40); i >= 0; i--) batch.put(key(), 'x'.repeat(random.below(400)))
    await db.write(batch)
  } else if (dice < 11) await db.get(key())
  else if (dice < 12) for await (const entry of db.scan({ gte: key(), limit: 100 })) expect(entry).toHaveLength(2)
  else if (dice < 15) await db.flush()
  else if (dice < 16) await db.compact()
  else if (dice < 18) await db.checkpoint()
  else {
    const [oldest] = await db.checkpoints()
    if (oldest === undefined) return
    if (dice === 18) await db.deleteCheckpoint(oldest.id)
    else await db.restore(oldest.id)
  }
}

describe('reports', () => {
  test('a flush: the table, the manifest, and a list; the bytes are those of the table and the manifest', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, prices: 's3-standard' })
    const flushes = heard(db, 'flush')
    await putAll(db, numbered(0, 100))
    await db.flush()
    const cost = (flushes[0] as EngineEvents['flush']).cost
    expect(made(cost)).toEqual({ put: 2, list: 1 })
    expect(cost.dollars).toBeCloseTo((3 * 5) / 1e6, 12)
    expect(cost.uploadedBytes).toBeGreaterThan((flushes[0] as EngineEvents['flush']).fileBytes)
    expect(plain(db.stats().cost.byPurpose.flush)).toEqual(plain(cost))
    await db.close()
  })

  test('a checkpoint: the delta and exactly two requests', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const checkpoints = heard(db, 'checkpoint')
    // With nothing to flush: the commit alone.
    await db.checkpoint()
    await putAll(db, numbered(0, 100))
    await db.checkpoint()
    await putAll(db, numbered(0, 100))
    // Others that flush and delete meanwhile are not its business.
    await db.flush()
    await db.deleteCheckpoint((await db.checkpoints())[0]?.id as string)
    await db.checkpoint()
    expect(checkpoints.map(({ cost }) => made(cost))).toEqual([
      { put: 1, list: 1 },
      { put: 1 + 1, list: 1 },
      { put: 1, list: 1 },
    ])
    const { byPurpose } = db.stats().cost
    // The one that rode on a flush is counted there; the deletion is a commit of its own.
    expect(made(byPurpose.checkpoint)).toEqual({ put: 3, list: 3 })
    expect(made(byPurpose.flush)).toEqual({ put: 4, list: 2 })
    await db.close()
  })

  // In a worker thread the reads are served and charged by this one: see thread-byte-work.test.ts.
  test('a compaction: what it read, uploaded and committed; and the deletion of what it replaced', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, targetFileSizeBytes: 1024 * 1024 })
    const compactions = heard(db, 'compaction')
    const collections = heard(db, 'gc')
    for (let round = 0; round < 3; round++) {
      await putAll(db, numbered(0, 500, 120))
      await db.flush()
    }
    await db.compact()
    const sum = sumOf(compactions.map(({ cost }) => cost))
    const { byPurpose } = db.stats().cost
    expect(plain(byPurpose.compaction)).toEqual(sum)
    const merge = compactions.find(({ trivialMove }) => !trivialMove) as CompactionReport
    expect(merge.cost.requests.get).toBeGreaterThanOrEqual(3)
    expect(merge.cost.requests.put).toBe(merge.outputFiles + merge.steps)
    expect(merge.cost.requests.list).toBe(merge.steps)
    // Everything but the tails, which the writer of the tables still has.
    expect(merge.cost.downloadedBytes).toBeLessThanOrEqual(merge.inputBytes * 1.1)
    expect(merge.cost.downloadedBytes).toBeGreaterThan(merge.inputBytes / 2)
    expect(merge.cost.uploadedBytes).toBeGreaterThan(merge.outputBytes)
    await db.close()
    expectSums(db.stats())
    expect(made((collections[0] as EngineEvents['gc']).cost)).toEqual({ list: 2, delete: 1 })
    expect(plain(db.stats().cost.byPurpose.gc)).toEqual(sumOf(collections.map(({ cost }) => cost)))
  })

  test('a remote compaction: what its owner asked for, nothing of what the compactor did', async () => {
    const clock = new SimulatedClock()
    const root = new MemoryObjectStore({ clock })
    const store = new CountingObjectStore(root, { clock })
    const remoteCompaction = { leaseMs: 1_000, takeBackAfterMs: 60_000, minSizeBytes: 0 }
    const options = { ...QUIET, level0CompactionTrigger: 4, clock, random: new SeededRandom(1), remoteCompaction }
    const db = await clock.drive(open({ store, prefix: 'db' }, options))
    const compactions = heard(db, 'compaction')
    for (let round = 0; round < 4; round++) {
      await clock.drive(putAll(db, numbered(0, 100)))
      await clock.drive(db.flush())
    }
    while (db.stats().compaction.remote.openJob === undefined) await clock.advance(1)
    const compactor = openRemoteCompactor({ root, prefix: 'db' }, { clock, random: new SeededRandom(2) })
    await clock.drive(compactor.run({ once: true, pollMs: 10, signal: new AbortController().signal }))
    for (let i = 0; db.stats().compaction.remote.committed === 0; i++) {
      if (i > 100) throw new Error('the result is not committed')
      await clock.advance(1_000)
    }
    const report = compactions.find(({ remote }) => remote) as CompactionReport
    // Two commits, looks, the result, and one ranged GET for each table.
    expect(report.cost.requests.put).toBe(2)
    expect(report.cost.requests.list).toBeGreaterThanOrEqual(3)
    expect(report.cost.requests.get).toBeGreaterThanOrEqual(1 + report.outputFiles)
    expect(report.cost.downloadedBytes).toBeLessThan(report.inputBytes)
    await clock.drive(db.close())
    expectSums(db.stats())
    expect(plain(db.stats().cost)).toEqual(tallyOf(store.snapshot()))
  })

  test('a restore: reading the checkpoint and taking the database over', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const restores = heard(db, 'restore')
    await putAll(db, numbered(0, 10))
    const { id } = await db.checkpoint()
    await putAll(db, numbered(0, 20))
    await db.flush()
    await db.restore(id)
    const { cost } = restores[0] as EngineEvents['restore']
    expect(made(cost)).toEqual({ put: 1, list: 2, get: 2 })
    expect(plain(db.stats().cost.byPurpose.restore)).toEqual(plain(cost))
    // What the engine before did stays counted.
    expect(db.stats().cost.dollarsPerMillionPuts).toBe(0)
    expect(db.stats().cost.requestsPerMillionPuts).toBeCloseTo((requestCount(db.stats().cost) / 30) * 1e6, 3)
    await db.close()
    expectSums(db.stats())
  })
})

describe('stats().cost', () => {
  test('dollars of storage a month, and by the million operations', async () => {
    const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, prices: 's3-standard', blockCacheSizeBytes: 0 })
    await putAll(db, numbered(0, 1_000, 100))
    await db.checkpoint()
    await putAll(db, numbered(0, 1_000, 100))
    await db.compact()
    const value = await db.get('key-000001')
    expect(value).toBeDefined()
    const { cost, sizeBytes, gc } = db.stats()
    expect(cost.prices).toBe(PRICE_TABLES['s3-standard'])
    expect(cost.storage.liveBytes).toBe(sizeBytes)
    expect(cost.storage.liveDollarsPerMonth).toBeCloseTo((sizeBytes / 2 ** 30) * 0.023, 12)
    // The checkpoint keeps the table that the compaction has replaced.
    expect(cost.storage.heldBytes).toBe(gc.keptBytes)
    expect(cost.storage.heldBytes).toBeGreaterThan(0)
    expect(cost.requestsPerMillionGets).toBeCloseTo(requestCount(cost.byPurpose.get) * 1e6, 6)
    expect(cost.dollarsPerMillionGets).toBeCloseTo(cost.byPurpose.get.requests.get * 0.4, 9)
    const writes = cost.dollars - cost.byPurpose.get.dollars - cost.byPurpose.scan.dollars
    expect(cost.dollarsPerMillionPuts).toBeCloseTo((writes / 2_000) * 1e6, 6)
    expect(cost.transferOutDollars).toBeCloseTo((cost.downloadedBytes / 2 ** 30) * 0.09, 12)
    await db.close()
  })

  test('the default is the table of the place', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    expect(db.stats().cost.prices.name).toBe('free')
    await db.close()
  })

  test('a table that is incomplete or unknown is INVALID before anything is asked of the store', async () => {
    const store = new CountingObjectStore(new MemoryObjectStore())
    for (const prices of ['cheap', 7, {}, { ...PRICE_TABLES.free, getDollarsPerMillion: -1 }]) {
      const given = { prices } as OpenOptions
      await expect(open({ store }, given)).rejects.toMatchObject({ code: 'INVALID', detail: { option: 'prices' } })
      const reading = openReader({ store }, given as { prices: 'free' })
      await expect(reading).rejects.toMatchObject({ code: 'INVALID', detail: { option: 'prices' } })
    }
    expect(store.snapshot().requests).toBe(0)
  })
})
