import { systemRandom } from '@moraine/base'
import { CountingObjectStore, parseLocation, subtractRequests } from '@moraine/object-store'
import { clone, type Location, open, type OpenOptions, WriteBatch } from 'moraine'
import type { Figures, FigureSpec, MeasureContext, Workload } from './workload.ts'

const SIZES: readonly { readonly label: string; readonly bytes: number }[] = [
  { label: '10 MB', bytes: 10e6 },
  { label: '100 MB', bytes: 100e6 },
  { label: '1 GB', bytes: 1e9 },
]

/** What is done to a state of each size, and how many requests the design gives it. */
const STEPS = {
  open: '<= 5',
  checkpoint: 'delta + 2',
  clone: '<= 8',
  restore: '',
  'rescale 1 to 4 to 2': '4 x 8 + 2 x (2 x 4 + 4)',
} as const

type Step = keyof typeof STEPS

const VALUE_BYTES = 8 * 1024
/** One put of a few bytes: what a checkpoint then has to upload. */
const DELTA: readonly [string, string] = ['delta', 'a few bytes']

/** Measured without a compaction or a collection in between. */
const QUIET: OpenOptions = { wal: 'none', level0CompactionTrigger: 1000, level0StopTrigger: 1001, gcIntervalMs: 0 }

/**
 * The protocols that should cost the same whatever the size of the state: the same database at 10 MB, 100 MB and 1 GB of
 * values that do not compress.
 */
export const stateProtocols: Workload = {
  name: 'state-protocols',
  figures: SIZES.flatMap(({ label }) =>
    Object.entries(STEPS).flatMap(([step, target]): FigureSpec[] => [
      { name: `${step} at ${label}, requests`, unit: 'count', better: 'less', target },
      { name: `${step} at ${label}`, unit: 'ms', better: 'less', target: 'flat' },
    ]),
  ),
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const parsed = parseLocation(context.freshSettings().location)
    const store = new CountingObjectStore(parsed.store)
    const at = (name: string): Location => ({ store, prefix: parsed.prefix === '' ? name : `${parsed.prefix}/${name}` })
    const figures: Record<string, number> = {}
    try {
      const loader = new Loader(at('state'))
      // A short run leaves the largest state out.
      for (const { label, bytes } of context.budgetMs < 500 ? SIZES.slice(0, 2) : SIZES) {
        await loader.growTo(bytes)
        const timed = async <Result>(step: Step, work: () => Promise<Result>): Promise<Result> => {
          const before = store.snapshot()
          const startMs = context.nowMs()
          const result = await work()
          figures[`${step} at ${label}`] = context.nowMs() - startMs
          figures[`${step} at ${label}, requests`] = subtractRequests(store.snapshot(), before).requests
          return result
        }
        const db = await timed('open', () => open(at('state'), QUIET))
        await db.put(...DELTA)
        const { id } = await timed('checkpoint', () => db.checkpoint({ metadata: { label } }))
        await timed('clone', () => clone(at('state'), at(`clone of ${label}`)))
        await timed('restore', () => db.restore(id))
        await db.close()
        await timed('rescale 1 to 4 to 2', () => rescale(at, label, bytes))
      }
    } finally {
      await store.close()
    }
    return figures
  },
}

async function rescale(at: (name: string) => Location, label: string, bytes: number): Promise<void> {
  const cuts = [1, 2, 3].map((part) => keyAt(Math.round((bytes / VALUE_BYTES / 4) * part)))
  const parts = [0, 1, 2, 3].map((part) => at(`part ${part} of ${label}`))
  for (const [i, part] of parts.entries()) {
    const [gte, lt] = [cuts[i - 1], cuts[i]]
    await clone(at('state'), part, { range: { ...(gte !== undefined && { gte }), ...(lt !== undefined && { lt }) } })
  }
  await clone(parts.slice(0, 2), at(`lower half of ${label}`))
  await clone(parts.slice(2), at(`upper half of ${label}`))
}

function keyAt(n: number): string {
  return `key-${String(n).padStart(9, '0')}`
}

/** Fills a database with rising keys, from where it stopped the last time. */
class Loader {
  readonly #location: Location
  readonly #noise = new Uint8Array(4 * 1024 * 1024)
  #entries = 0

  constructor(location: Location) {
    this.#location = location
    systemRandom.fill(this.#noise)
  }

  async growTo(bytes: number): Promise<void> {
    const db = await open(this.#location, { wal: 'none' })
    while (this.#entries * VALUE_BYTES < bytes) {
      const batch = new WriteBatch()
      for (let i = 0; i < 32; i++) {
        const offset = (this.#entries * 7919) % (this.#noise.length - VALUE_BYTES)
        batch.put(keyAt(this.#entries++), this.#noise.subarray(offset, offset + VALUE_BYTES))
      }
      await db.write(batch)
    }
    await db.close()
  }
}
