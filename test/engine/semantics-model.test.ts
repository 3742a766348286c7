// Invariant: merges, range deletes, expiry, keyspaces, transactions, conditional and plain writes, mixed in any way, answer as the history of versions
// evaluated by the simplest rules does: through flushes, compactions, kills, restores, readers, clones and unions.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { FileObjectStore, MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import { driveModel, ManualWallClock, type ModelSemantics, MortalObjectStore } from '@moraine/testing'
import { open, type OpenOptions, type WalOption } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SMALL } from './subject.ts'

const SEEDS = Number(process.env['MORAINE_MODEL_SEEDS'] ?? 30)
const FIRST_SEED = Number(process.env['MORAINE_MODEL_FIRST_SEED'] ?? 1)
const STEPS = Number(process.env['MORAINE_MODEL_STEPS'] ?? 160)
/** Seeds of one test: a test costs more than a seed. */
const SEEDS_PER_TEST = 10

interface Shape {
  readonly log: 'none' | 'local' | 'object-store'
  readonly options: OpenOptions
  readonly semantics: (seed: number) => ModelSemantics
  /** Shares of all seeds. */
  readonly share?: number
}

const expiring = (seed: number): ModelSemantics => ({
  clock: new ManualWallClock(),
  ...(seed % 3 === 0 && { defaultTtlMs: 60_000 }),
  filter: seed % 4 === 1,
})

const SHAPES: Record<string, Shape> = {
  'leveled, no log': { log: 'none', options: {}, semantics: expiring },
  'leveled, log in the store': { log: 'object-store', options: {}, semantics: expiring },
  'leveled, local log': { log: 'local', options: {}, semantics: expiring, share: 0.5 },
  'tiered, no log': { log: 'none', options: { compaction: 'tiered' }, semantics: expiring },
  'tiered, few runs, log in the store': {
    log: 'object-store',
    options: { compaction: { style: 'tiered', maxSortedRuns: 3, sizeRatioPercent: 0 }, compactionTombstonePercent: 1 },
    semantics: expiring,
  },
  'leveled, rare compaction, no filters': {
    log: 'none',
    options: { level0CompactionTrigger: 8, level0StopTrigger: 20, filterBitsPerKey: 0, compression: 'none' },
    semantics: expiring,
  },
  'leveled, large values apart, log in the store': {
    log: 'object-store',
    options: { blobThresholdBytes: 256, blobGarbagePercent: 30 },
    semantics: expiring,
    share: 0.5,
  },
  'with worker threads': { log: 'none', options: { workerThreads: 2 }, semantics: (seed) => ({ filter: seed % 2 === 0 }), share: 0.25 },
}

describe('merges, range deletes, expiry and keyspaces against the model', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-semantics-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  for (const [name, shape] of Object.entries(SHAPES)) {
    const end = FIRST_SEED + Math.ceil(SEEDS * (shape.share ?? 1))
    for (let first = FIRST_SEED; first < end; first += SEEDS_PER_TEST) {
      const last = Math.min(end, first + SEEDS_PER_TEST) - 1
      test(`${name}, seeds ${first} to ${last}`, async () => {
        for (let seed = first; seed <= last; seed++) {
          const failure = await drive(seed, shape, new MemoryObjectStore(), join(folder, String(seed)))
          expect(failure, `seed ${seed}`).toBeUndefined()
        }
      }, 120_000)
    }
  }

  test('in a folder, seeds 1 to 3', async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const store = new FileObjectStore({ root: join(folder, `bucket-${seed}`), fsync: false })
      const shape: Shape = { log: seed % 2 === 0 ? 'local' : 'object-store', options: {}, semantics: expiring }
      expect(await drive(seed, shape, store, join(folder, String(seed))), `seed ${seed}`).toBeUndefined()
    }
  })
})

/** What went wrong, if anything. */
async function drive(seed: number, { log, options, semantics }: Shape, store: ObjectStore, folder: string): Promise<string | undefined> {
  let mortal: MortalObjectStore | undefined
  const walOf = (prefix: string): WalOption => (log === 'local' ? { kind: log, folder: join(folder, prefix), sync: 'never' } : log)
  const subject = {
    store,
    open: (extra: OpenOptions, prefix: string) => {
      mortal = new MortalObjectStore(store)
      return open({ store: mortal, prefix }, { ...SMALL, ...options, wal: walOf(prefix), ...extra })
    },
    kill: async () => mortal?.kill(),
  }
  const survives = log === 'none' ? 'flushed' : 'acknowledged'
  try {
    await driveModel(subject, { random: new SeededRandom(seed), steps: STEPS, survives, semantics: semantics(seed) })
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}
