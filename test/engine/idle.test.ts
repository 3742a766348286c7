// Invariant: whoever does nothing is asked nothing of the store for. A database whose writes are flushed makes no request
// with default options but the one look for orphans that its commits call for; a reader makes those it was asked for:
// polling and a lease.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore, requestCount, type RequestsByClass, subtractRequests, tallyOf } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type Db, open, openReader, type OpenReaderOptions, type WalOption } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { numbered, putAll } from './subject.ts'

const HOUR_MS = 3_600_000
const GC_INTERVAL_MS = 6 * HOUR_MS

let folder: string
let clock: SimulatedClock
let store: CountingObjectStore

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-idle-'))
  clock = new SimulatedClock()
  store = new CountingObjectStore(new MemoryObjectStore({ clock }), { clock })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Requests of so much simulated time. */
async function requestsIn(ms: number): Promise<RequestsByClass> {
  const before = store.snapshot()
  await clock.advance(ms)
  return tallyOf(subtractRequests(store.snapshot(), before)).requests
}

const NONE: RequestsByClass = { put: 0, list: 0, get: 0, head: 0, delete: 0 }

describe.each(['none', 'local', 'object-store'] as const)('an idle database, log: %s', (kind) => {
  async function opened(): Promise<Db> {
    const wal: WalOption = kind === 'local' ? { kind, folder: join(folder, 'wal') } : kind
    return await run(open({ store }, { wal, clock, random: new SeededRandom(1) }))
  }

  /** Files have their own pace, and work on them waits for no timer. */
  const run = <T>(work: Promise<T>): Promise<T> => (kind === 'local' ? work : clock.drive(work))

  test('makes no request for hours after its last flush, and one look for orphans after that', async () => {
    const db = await opened()
    for (let round = 0; round < 5; round++) {
      await run(putAll(db, numbered(round * 100, round * 100 + 300)))
      await run(db.flush())
    }
    await clock.advance(60_000)
    expect(await requestsIn(GC_INTERVAL_MS - 120_000)).toEqual(NONE)
    const sweep = await requestsIn(GC_INTERVAL_MS)
    expect(sweep).toMatchObject({ put: 0, delete: expect.any(Number) as number })
    expect(sweep.list).toBeGreaterThan(0)
    expect(db.stats().gc.sweeps).toBe(1)
    expect(await requestsIn(48 * HOUR_MS)).toEqual(NONE)
    await run(db.close())
  })

  test('with unflushed writes it looks once whether it still owns the database, and not again', async () => {
    const db = await opened()
    await run(putAll(db, numbered(0, 10)))
    expect(await requestsIn(60_000)).toEqual({ ...NONE, list: 1 })
    expect(db.stats().cost.byPurpose.fence.requests).toEqual({ ...NONE, list: 1 })
    expect(await requestsIn(5 * HOUR_MS)).toEqual(NONE)
    await run(db.close())
  })

  test('freshly opened it makes no request until that look', async () => {
    const db = await opened()
    await clock.advance(10_000)
    expect(await requestsIn(GC_INTERVAL_MS - 60_000)).toEqual(NONE)
    await run(db.close())
  })
})

describe('an idle reader', () => {
  async function reading(options: OpenReaderOptions, hours: number): Promise<RequestsByClass> {
    const random = new SeededRandom(1)
    const db = await clock.drive(open({ store }, { wal: 'none', clock, random }))
    await clock.drive(putAll(db, numbered(0, 10)))
    await clock.drive(db.checkpoint({ name: 'here' }))
    await clock.drive(db.close())
    const reader = await clock.drive(openReader({ store }, { ...options, clock, random }))
    await clock.drive(reader.get('key-000001'))
    const before = reader.stats().cost.byPurpose
    const requests = await requestsIn(hours * HOUR_MS)
    const { lease, refresh } = reader.stats().cost.byPurpose
    expect(requestCount({ ...lease, requests })).toBe(
      requestCount(lease) - requestCount(before.lease) + requestCount(refresh) - requestCount(before.refresh),
    )
    await clock.drive(reader.close())
    return requests
  }

  test('that neither polls nor holds a lease makes no request', async () => {
    expect(await reading({ refreshIntervalMs: 0, lease: false }, 48)).toEqual(NONE)
  })

  test('of a checkpoint without a lease makes no request', async () => {
    expect(await reading({ checkpoint: 'here', lease: false }, 48)).toEqual(NONE)
  })

  test('with a lease renews it three times in its length: one PUT each', async () => {
    expect(await reading({ refreshIntervalMs: 0 }, 1)).toEqual({ ...NONE, put: 18 })
  })

  test('with a longer lease renews less', async () => {
    expect(await reading({ checkpoint: 'here', lease: 24 * HOUR_MS }, 24)).toEqual({ ...NONE, put: 3 })
  })

  test('that polls makes one LIST each time', async () => {
    expect(await reading({ refreshIntervalMs: 10_000, lease: false }, 1)).toEqual({ ...NONE, list: 360 })
  })
})
