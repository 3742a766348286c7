import { SeededRandom, sleep, systemClock } from '@moraine/base'
import { type Db, destroy, open } from 'moraine'
import type { Figures, FigureSpec, MeasureContext, Workload } from './workload.ts'

const KIB = 1024
const MIB = 1024 * KIB
const SIZES: readonly number[] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB]
const MODES = ['inline', 'blobs'] as const
type Mode = (typeof MODES)[number]

/** Values of one size in the database. */
const DATA_BYTES = 32 * MIB
/** All of them are written again so many times. */
const OVERWRITES = 3
const IN_FLIGHT = 16

const MEASURED = {
  put: { unit: 'per-second', better: 'more', name: 'puts of' },
  amplification: { unit: 'factor', better: 'less', name: 'write amplification at' },
  space: { unit: 'factor', better: 'less', name: 'bytes stored for a byte of data at' },
  get: { unit: 'per-second', better: 'more', name: 'random gets of' },
  scan: { unit: 'per-second', better: 'more', name: 'scanned values of' },
} as const

/**
 * Large values in the tables, as they are by default, beside the same in blob files: written, written again several times
 * in another order while flushes and compactions run, read at random without a cache and scanned. Small memtables and
 * levels, so that the tree has several levels at this amount of data.
 */
export const blobValues: Workload = {
  name: 'blob-values',
  figures: Object.values(MEASURED).flatMap(({ unit, better, name }) =>
    SIZES.flatMap((size) => MODES.map((mode): FigureSpec => ({ name: figureName(name, size, mode), unit, better, target: '' }))),
  ),
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const figures: Record<string, number> = {}
    const values = new ValuePool()
    for (const size of SIZES) {
      for (const mode of MODES) {
        for (const [measure, value] of Object.entries(await measureSize(context, values, size, mode))) {
          figures[figureName(MEASURED[measure as keyof typeof MEASURED].name, size, mode)] = value
        }
      }
    }
    return figures
  },
}

function figureName(name: string, size: number, mode: Mode): string {
  return `${name} ${size / KIB} KiB, ${mode}`
}

async function measureSize(
  context: MeasureContext,
  values: ValuePool,
  size: number,
  mode: Mode,
): Promise<Record<keyof typeof MEASURED, number>> {
  const { nowMs, dataset } = context
  const count = DATA_BYTES / size
  const location = locationOf(context.freshSettings().location, `${size}-${mode}`)
  const db = await open(location, {
    wal: 'none',
    memtableSizeBytes: 4 * MIB,
    targetFileSizeBytes: 4 * MIB,
    levelBaseSizeBytes: 8 * MIB,
    levelSizeMultiplier: 4,
    blockCacheSizeBytes: 0,
    blobThresholdBytes: mode === 'blobs' ? 4 * KIB : 0,
  })
  try {
    const putMs = nowMs()
    for (let round = 0; round <= OVERWRITES; round++) {
      // Another order each time; the multiplier shares no factor with a power of two.
      await atOnce(count, (i) => db.put(dataset.key((i * 40_503 + round * 7) % count), values.take(size)))
    }
    await db.flush()
    const seconds = (nowMs() - putMs) / 1000
    await settled(db)
    const { compaction, sizeBytes, blobs } = db.stats()
    const random = new SeededRandom(1)
    return {
      put: (count * (OVERWRITES + 1)) / seconds,
      amplification: compaction.writeAmplification,
      space: (sizeBytes + blobs.sizeBytes) / DATA_BYTES,
      get: await rate(context, 1, async () => void (await db.get(dataset.key(random.below(count))))),
      scan: await rate(context, count, async () => {
        for await (const entries of db.scanBatches()) void entries
      }),
    }
  } finally {
    await db.close()
    await destroy(location, { force: true })
  }
}

/** Below a location, a database for each size and mode. */
function locationOf(location: string, name: string): string {
  const [path, query] = location.split('?') as [string, string | undefined]
  return `${path}/${name}${query === undefined ? '' : `?${query}`}`
}

/** Compactions have nothing more to do. */
async function settled(db: Db): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const { compactions, running } = db.stats().compaction
    await sleep(systemClock, 20)
    const after = db.stats().compaction
    quiet = running === undefined && after.running === undefined && after.compactions === compactions ? quiet + 1 : 0
  }
}

async function atOnce(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
}

/** How often a second something is done, each time for `each` values. */
async function rate({ nowMs, budgetMs }: MeasureContext, each: number, work: () => Promise<void>): Promise<number> {
  const startMs = nowMs()
  let done = 0
  while (nowMs() - startMs < budgetMs || done === 0) {
    await work()
    done += each
  }
  return (done / (nowMs() - startMs)) * 1000
}

/** Values of any size that compress to about half, each another one. */
class ValuePool {
  readonly #bytes = new Uint8Array(4 * MIB)
  #at = 0

  constructor() {
    const random = new SeededRandom(20010101)
    for (let at = 0; at < this.#bytes.length; at += 128) random.fill(this.#bytes.subarray(at, at + 64))
  }

  take(size: number): Uint8Array {
    this.#at = (this.#at + 4099) % (this.#bytes.length - size)
    return this.#bytes.subarray(this.#at, this.#at + size)
  }
}
