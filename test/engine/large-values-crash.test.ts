// Invariant: wherever a process dies while it flushes, compacts or empties blob files, the next one finds every acknowledged
// value whole, and after a collection there is no object that nothing refers to, nor one that is missing.
import { Deferred, SeededRandom } from '@moraine/base'
import { FaultyObjectStore, FileObjectStore, MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import { type Cut, CutObjectStore, driveModel, MortalObjectStore, SimulatedClock } from '@moraine/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectGarbage, type Db, open, type OpenOptions, verify } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dataIn, dataOf, namesIn, newestOf } from './bucket.ts'
import { SMALL_SETTINGS } from './small-settings.ts'
import { contents, localLog, numbered, putAll, QUIET } from './subject.ts'

const BLOBS: OpenOptions = { ...QUIET, blobThresholdBytes: 256, compression: 'none', gcGraceMs: 0 }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-blobs-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Values of a round: the later, the longer, so that a value tells how old it is. */
const ofRound = (round: number): [string, string][] => numbered(0, 12).map(([key, value]) => [key, value.padEnd(400 + round, '.')])

/** Flushes, compactions that drop values, and one that moves what is left of a blob file. */
async function live(db: Db, acknowledged: (round: number) => void): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    await putAll(db, ofRound(round).slice(0, round === 3 ? 8 : 12))
    acknowledged(round)
    await db.flush()
  }
  await db.compact()
  await putAll(db, ofRound(4).slice(0, 3))
  acknowledged(4)
  await db.close()
}

describe('pitfall 18: a process that dies at any of its store calls', () => {
  for (const when of ['before', 'after'] as const) {
    test(`${when} the call`, async () => {
      let cuts = 0
      for (let call = 1; ; call++) {
        const store = new MemoryObjectStore()
        const options = { ...BLOBS, ...localLog(join(folder, `${when}-${call}`)) }
        let last = 0
        const cut: Cut = { call, when }
        const mortal = new CutObjectStore(store, cut)
        const opening = open({ store: mortal }, options)
        const living = opening.then((db) => live(db, (round) => (last = round)))
        living.catch(() => {})
        const ended = await Promise.race([living.then(() => true), mortal.reached.then(() => false)])
        mortal.bury()
        await opening.then((db) => db.close()).catch(() => {})
        const acknowledged = last

        const db = await open({ store }, options)
        for (const [key, value] of Object.entries(await contents(db))) {
          const [round, least] = [value.length - 400, key < 'key-000003' ? acknowledged : key < 'key-000008' ? Math.min(3, acknowledged) : Math.min(2, acknowledged)]
          expect(round, `${key}, cut ${when} call ${call}`).toBeGreaterThanOrEqual(least)
        }
        await db.flush()
        await db.close()
        await collectGarbage({ store }, { graceMs: 0, force: true })
        const needed = dataOf(await newestOf(store))
        expect(await dataIn(store), `cut ${when} call ${call}`).toEqual(needed)
        expect((await verify({ store }, { deep: true })).problems).toEqual([])
        if (ended) break
        cuts++
      }
      expect(cuts).toBeGreaterThan(20)
    })
  }
})

test('pitfall 3: a sweep while a blob file is uploaded and not yet named by a table leaves it alone', async () => {
  const store = new MemoryObjectStore()
  const clock = new SimulatedClock()
  const [release, stalled] = [new Deferred<void>(), new Deferred<void>()]
  const slow = new FaultyObjectStore(
    store,
    (operation, key) => {
      if (operation !== 'put' || !key.startsWith('sst/')) return undefined
      stalled.resolve()
      return { kind: 'delay', until: release.promise }
    },
    { clock },
  )
  const db = await open({ store: slow }, { ...BLOBS, clock, gcIntervalMs: 60_000 })
  // Something must have been committed for a sweep to look.
  await putAll(db, ofRound(1))
  const flushing = db.flush()
  await stalled.promise
  const [uploaded] = await namesIn(store, 'blob/')
  expect(uploaded).toBeDefined()
  await clock.advance(60_001)
  expect(db.stats().gc.sweeps).toBe(1)
  await collectGarbage({ store }, { graceMs: 0, force: true })
  expect(await namesIn(store, 'blob/')).toEqual([uploaded])
  release.resolve()
  await flushing
  expect(await contents(db)).toEqual(Object.fromEntries(ofRound(1)))
  await db.close()
  expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
})

describe('a database with blob files against the model', () => {
  const settings: OpenOptions = { ...SMALL_SETTINGS, blobThresholdBytes: 256, blobGarbagePercent: 60 }

  for (const seed of [1, 2, 3]) {
    for (const wal of ['none', 'local', 'object-store'] as const) {
      test(`in memory, log ${wal}, seed ${seed}`, async () => {
        const store = new MemoryObjectStore()
        await expect(drive(seed, 1200, wal, settings, () => store)).resolves.toBeUndefined()
        await nothingLeft(store)
      })
    }
  }

  test('in a folder', async () => {
    const root = join(folder, 'bucket')
    const make = (): ObjectStore => new FileObjectStore({ root, fsync: false })
    await expect(drive(6, 400, 'local', settings, make)).resolves.toBeUndefined()
    await nothingLeft(make())
  })

  test('tiered, without threads', async () => {
    const store = new MemoryObjectStore()
    const tiered: OpenOptions = { ...settings, compaction: 'tiered', workerThreads: 0 }
    await expect(drive(7, 1200, 'local', tiered, () => store)).resolves.toBeUndefined()
    await nothingLeft(store)
  })
})

async function nothingLeft(store: ObjectStore): Promise<void> {
  expect((await verify({ store }, { deep: true })).problems).toEqual([])
  await collectGarbage({ store }, { graceMs: 0, force: true })
  expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  expect((await namesIn(store, 'blob/')).length).toBeGreaterThan(0)
}

async function drive(seed: number, steps: number, wal: 'none' | 'local' | 'object-store', settings: OpenOptions, make: () => ObjectStore): Promise<void> {
  const log = wal === 'local' ? localLog(join(folder, 'wal')) : { wal }
  let mortal: MortalObjectStore | undefined
  await driveModel(
    {
      open: () => {
        mortal = new MortalObjectStore(make())
        return open({ store: mortal }, { ...settings, ...log })
      },
      kill: async () => mortal?.kill(),
    },
    { random: new SeededRandom(seed), steps, survives: wal === 'none' ? 'flushed' : 'acknowledged' },
  )
}
