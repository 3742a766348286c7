import { type Clock, isMoraineError, MoraineError, SerialQueue, sleep } from '@moraine/base'
import type { SstWriterSettings } from '@moraine/sstable'
import type { KeyRange } from '../key/key-range.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { levelBytes } from '../manifest/version.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import type { SnapshotRegistry } from '../read/snapshots.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { ByteWork } from '../table/byte-work.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { CompactionPlan, LeveledSettings } from './compaction-plan.ts'
import { pickLeveled } from './pick-leveled.ts'
import { deepestLevel, pickManual } from './pick-manual.ts'
import { runCompaction } from './run-compaction.ts'

/** What a compaction did; times in milliseconds, sizes in bytes. */
export interface CompactionReport {
  readonly reason: CompactionPlan['reason']
  readonly inputLevels: readonly number[]
  readonly outputLevel: number
  readonly inputFiles: number
  readonly inputBytes: number
  readonly outputFiles: number
  readonly outputBytes: number
  readonly inputEntries: number
  readonly outputEntries: number
  /** The table changed its level without being rewritten. */
  readonly trivialMove: boolean
  readonly durationMs: number
}

export interface CompactorOptions {
  readonly views: ViewRegistry
  readonly versions: VersionSet
  readonly snapshots: SnapshotRegistry
  readonly byteWork: ByteWork
  readonly tableWriter: TableWriter
  readonly settings: LeveledSettings & { readonly targetFileSizeBytes: number }
  readonly writerSettings: () => SstWriterSettings
  readonly clock: Clock
  readonly onCompacted: (report: CompactionReport) => void
  /** Called with the tables that left the version, when no read uses them any more. */
  readonly onObsolete: (files: readonly TableFile[]) => void
  readonly onRetry: (error: MoraineError) => void
  readonly onFailed: (error: unknown) => void
  readonly signal: AbortSignal
}

const RETRY_MS = 1_000

/** Somebody has to restore the table first. */
const DAMAGE_RETRY_MS = 60_000

/** Runs compactions one at a time, in the background and by request, until every level is within its size. */
export class Compactor {
  readonly #options: CompactorOptions
  readonly #turns = new SerialQueue()
  #background: Promise<void> | undefined

  constructor(options: CompactorOptions) {
    this.#options = options
  }

  /** Looks whether there is something to do; call after every change of the version. */
  kick(): void {
    if (this.#background !== undefined || this.#options.signal.aborted) return
    this.#background = this.#runBackground().finally(() => {
      this.#background = undefined
    })
  }

  /** Brings a range down to one sorted run, level by level. */
  compactRange(range: KeyRange): Promise<void> {
    return this.#turns.run(async () => {
      const target = Math.max(1, deepestLevel(this.#options.versions.current.version))
      for (let level = 0; level < target; level++) {
        const plan = pickManual(this.#options.versions.current.version, level, range)
        if (plan !== undefined) await this.#compact(plan)
      }
    })
  }

  /** Resolves when nothing is running. */
  async drained(): Promise<void> {
    await this.#background
    await this.#turns.drained()
  }

  async #runBackground(): Promise<void> {
    const { signal, clock } = this.#options
    while (!signal.aborted) {
      try {
        const worked = await this.#turns.run(async () => {
          const plan = pickLeveled(this.#options.versions.current.version, this.#options.settings)
          if (plan === undefined) return false
          await this.#compact(plan)
          return true
        })
        if (!worked) return
      } catch (error) {
        if (signal.aborted) return
        // A damaged or missing table wedges the compactions that need it, and nothing else: what is whole stays readable.
        const damaged = isMoraineError(error, 'CORRUPTION')
        if (!damaged && !isMoraineError(error, 'UNAVAILABLE')) {
          this.#options.onFailed(error)
          return
        }
        this.#options.onRetry(error)
        await sleep(clock, damaged ? DAMAGE_RETRY_MS : RETRY_MS, signal).catch(() => {})
      }
    }
  }

  async #compact(plan: CompactionPlan): Promise<void> {
    const { versions, views, clock, byteWork, tableWriter, snapshots, settings, signal } = this.#options
    if (signal.aborted) throw new MoraineError('CLOSED', 'the database was closed during a compaction')
    const startMs = clock.monotonicMs()
    const inputs = plan.inputs.flatMap(({ files }) => [...files])
    const trivial = isTrivialMove(plan)
    const outputs = trivial
      ? inputs
      : await runCompaction({
          plan,
          version: versions.current.version,
          snapshots: snapshots.held(),
          writer: this.#options.writerSettings(),
          targetFileSizeBytes: settings.targetFileSizeBytes,
          byteWork,
          tableWriter,
          signal,
        })
    const edit = {
      removed: plan.inputs.flatMap(({ level, files }) => files.map((file) => ({ level, file }))),
      added: outputs.map((file) => ({ level: plan.outputLevel, file })),
    }
    await versions.commit(
      () => ({ edit }),
      (committed) => {
        views.install({ version: committed.version }, trivial ? undefined : () => this.#options.onObsolete(inputs))
        tableWriter.published(outputs)
      },
      signal,
    )
    this.#options.onCompacted({
      reason: plan.reason,
      inputLevels: plan.inputs.map(({ level }) => level),
      outputLevel: plan.outputLevel,
      inputFiles: inputs.length,
      inputBytes: levelBytes(inputs),
      outputFiles: outputs.length,
      outputBytes: trivial ? 0 : levelBytes(outputs),
      inputEntries: inputs.reduce((count, file) => count + file.entryCount, 0),
      outputEntries: outputs.reduce((count, file) => count + file.entryCount, 0),
      trivialMove: trivial,
      durationMs: clock.monotonicMs() - startMs,
    })
  }
}

/** A single table without anything below it in the way only changes its level. */
function isTrivialMove(plan: CompactionPlan): boolean {
  const [only, ...others] = plan.inputs
  return only !== undefined && others.length === 0 && only.files.length === 1 && only.level < plan.outputLevel
}
