import { type Clock, sleep } from '@moraine/base'
import type { BenchSite } from './bench-site.ts'
import type { BenchOptions } from './options.ts'
import { median } from './report/median.ts'
import type { Database, MissingSubject, OpenSettings, Subject } from './subject/subject.ts'
import { Dataset } from './workload/dataset.ts'
import type { EventLoopWatch, Figures, MeasureContext, Workload } from './workload/workload.ts'

/** What came out for one workload on one subject. */
export interface Outcome {
  readonly workload: Workload
  readonly subject: string
  /** Medians over the rounds; absent when it failed or does not apply. */
  readonly figures?: Figures
  readonly failure?: string
}

export interface RunnerSettings {
  readonly options: BenchOptions
  readonly site: BenchSite
  readonly clock: Clock
  readonly watchEventLoop: () => EventLoopWatch
  readonly onProgress: (text: string) => void
}

/**
 * Runs each workload in rounds, all subjects in each round and another one first each time, so that a slow minute of
 * the machine does not fall on one of them alone. A subject that fails loses that row and nothing else.
 */
export async function runWorkloads(
  workloads: readonly Workload[],
  subjects: readonly (Subject | MissingSubject)[],
  settings: RunnerSettings,
): Promise<Outcome[]> {
  const present = subjects.filter((subject): subject is Subject => 'open' in subject)
  const shared = new SharedDatabases(settings)
  const outcomes: Outcome[] = []
  try {
    for (const workload of workloads) {
      const contenders = present.filter((subject) => workload.only?.includes(subject.name) ?? true)
      const rounds = Math.min(settings.options.rounds, workload.maxRounds ?? Infinity)
      const results = new Map<string, Figures[]>(contenders.map((subject) => [subject.name, []]))
      const failures = new Map<string, string>()
      await shared.keepOnly(workload.needs)
      for (let round = 0; round < rounds; round++) {
        for (const subject of rotate(contenders, round)) {
          if (failures.has(subject.name)) continue
          settings.onProgress(`${workload.name}, round ${round + 1} of ${rounds}: ${subject.name}`)
          try {
            results.get(subject.name)?.push(await measureOnce(workload, subject, shared, settings))
          } catch (error) {
            failures.set(subject.name, (error as Error).message.split('\n')[0] as string)
          }
        }
      }
      for (const subject of contenders) {
        const failure = failures.get(subject.name)
        outcomes.push({
          workload,
          subject: subject.name,
          ...(failure === undefined ? { figures: medians(results.get(subject.name) ?? []) } : { failure }),
        })
      }
    }
  } finally {
    await shared.keepOnly('own')
  }
  return outcomes
}

async function measureOnce(
  workload: Workload,
  subject: Subject,
  shared: SharedDatabases,
  settings: RunnerSettings,
): Promise<Figures> {
  const { options, site, clock } = settings
  const context = {
    subject,
    dataset,
    rows: options.rows,
    budgetMs: options.budgetMs,
    nowMs: () => clock.monotonicMs(),
    yieldNow: () => clock.yieldNow(),
    watchEventLoop: settings.watchEventLoop,
  }
  const own = await site.fresh(workload.durable ?? false)
  const freshSettings = (): OpenSettings => own
  // What the subject before left to be collected or written back should not be paid by the next.
  await sleep(clock, 50)
  try {
    if (workload.needs === 'memory' || workload.needs === 'tables') {
      const database = await shared.get(subject, workload.needs)
      return await workload.measure({ ...context, database, freshSettings })
    }
    if (workload.needs === 'own') {
      return await workload.measure({ ...context, database: noDatabase, freshSettings })
    }
    const database = await subject.open(own)
    try {
      return await workload.measure({ ...context, database, freshSettings } satisfies MeasureContext)
    } finally {
      await database.close()
    }
  } finally {
    await site.discard(own)
  }
}

/** Databases that several workloads read, opened and filled when first asked for. */
class SharedDatabases {
  readonly #settings: RunnerSettings
  readonly #open = new Map<string, { database: Database; settings: OpenSettings }>()
  #kind: Workload['needs'] = 'own'

  constructor(settings: RunnerSettings) {
    this.#settings = settings
  }

  async get(subject: Subject, kind: 'memory' | 'tables'): Promise<Database> {
    const known = this.#open.get(subject.name)
    if (known !== undefined) return known.database
    const { site, options, clock } = this.#settings
    const settings = await site.fresh(false)
    this.#settings.onProgress(`writing ${options.rows} entries: ${subject.name}`)
    const database = await subject.open(settings)
    this.#open.set(subject.name, { database, settings })
    for (let i = 0; i < options.rows; i += 100) {
      const count = Math.min(100, options.rows - i)
      await database.putBatch(Array.from({ length: count }, (_, k) => dataset.entry(i + k)))
    }
    if (kind === 'tables') {
      await database.flush()
      // Warm caches, for at most a second: the rounds that follow do the rest, and the median drops the coldest.
      const startMs = clock.monotonicMs()
      for (let i = 0; i < options.rows && clock.monotonicMs() - startMs < 1000; i++) await database.get(dataset.key(i))
    }
    return database
  }

  /** Closes and deletes databases of any other kind. */
  async keepOnly(kind: Workload['needs']): Promise<void> {
    if (kind === this.#kind) return
    this.#kind = kind
    for (const [name, { database, settings }] of this.#open) {
      this.#open.delete(name)
      await database.close()
      await this.#settings.site.discard(settings)
    }
  }
}

function medians(rounds: readonly Figures[]): Figures {
  const names = new Set(rounds.flatMap((figures) => Object.keys(figures)))
  const result: Record<string, number> = {}
  for (const name of names) result[name] = median(rounds.flatMap((figures) => figures[name] ?? []))
  return result
}

function rotate<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length] as T)
}

const dataset = new Dataset()

/** Stands where a workload has said that it opens its own database. */
const noDatabase: Database = new Proxy({} as Database, {
  get(): never {
    throw new Error('this workload opens its own database')
  },
})
