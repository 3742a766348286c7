import { type Clock, isMoraineError, type MemoryAccount, MoraineError, type Random, SerialQueue, sleep, type Timer } from '@moraine/base'
import type { ObjectStore, RequestAccount, RequestCost } from '@moraine/object-store'
import { ALL_KEYS, type KeyRange } from '../key/key-range.ts'
import type { CompactionJob, Manifest } from '../manifest/manifest.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, levelBytes } from '../manifest/version.ts'
import type { ManifestChange, VersionSet } from '../manifest/version-set.ts'
import type { SnapshotRegistry } from '../read/snapshots.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { ByteWork } from '../table/byte-work.ts'
import type { TableStore } from '../table/table-store.ts'
import type { TableWriter } from '../table/table-writer.ts'
import { relocatedBlobs, writtenBlobBytes } from './blob-garbage.ts'
import { CompactionInputs } from './compaction-inputs.ts'
import { type CompactionPlan, type CompactionSettings, isTrivialMove, type PickContext, plansConflict } from './compaction-plan.ts'
import { CompactionTotals } from './compaction-totals.ts'
import { compactionScores, pickCompaction } from './pick-compaction.ts'
import { borrowedTables, manualTarget, type ManualStep, pickManual, pickManualRewrite, tablesOf } from './pick-manual.ts'
import type { MergeRules } from './merge-job.ts'
import { KnownTombstones } from './known-tombstones.ts'
import { tombstonesWanted } from './pick-dead.ts'
import { nextAgeAtMs, nextExpiryAtMs } from './pick-tables.ts'
import { type RemoteCompactionReport, type RemoteCompactionSettings, RemoteOffers } from './remote/remote-offers.ts'
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
  /** Of the blob files that were written beside the output. */
  readonly blobBytes: number
  readonly inputEntries: number
  readonly outputEntries: number
  /** The table changed its level without being rewritten. */
  readonly trivialMove: boolean
  /** A remote compactor did the work; `durationMs` is then only that of the commit. */
  readonly remote: boolean
  /** Commits it took: a long one is published in steps, so that a crash costs the unfinished one only. */
  readonly steps: number
  readonly durationMs: number
  /** Of reading, uploading and committing; of a remote one, what the owner itself asked of the store. */
  readonly cost: RequestCost
}

export interface CompactorOptions {
  readonly views: ViewRegistry
  readonly versions: VersionSet
  readonly snapshots: SnapshotRegistry
  readonly byteWork: ByteWork
  readonly tableWriter: TableWriter
  readonly settings: CompactionSettings & { readonly level0StopTrigger: number }
  /** Undefined: nothing is offered to remote compactors. */
  readonly remote: RemoteCompactionSettings | undefined
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly account: RequestAccount
  readonly tables: TableStore
  readonly memory: MemoryAccount
  readonly rules: MergeRules
  readonly clock: Clock
  readonly random: Random
  readonly onRemote: (report: RemoteCompactionReport) => void
  readonly onCompacted: (report: CompactionReport) => void
  /** Called with the tables that left the version, when no read uses them any more. */
  readonly onObsolete: (files: readonly TableFile[]) => void
  readonly onRetry: (error: MoraineError) => void
  readonly onFailed: (error: unknown) => void
  readonly signal: AbortSignal
}

const RETRY_MS = 1_000
/** A snapshot may hold expired tables back: they are looked at again that often. */
const EXPIRY_AGAIN_MS = 60_000
const AGE_CHECK_LEAST_MS = 1_000
const AGE_CHECK_MOST_MS = 3_600_000

/** Somebody has to restore the table first. */
const DAMAGE_RETRY_MS = 60_000

/** Runs compactions one at a time, in the background and by request, until the pickers find nothing to do. */
export class Compactor {
  readonly totals: CompactionTotals = new CompactionTotals()
  readonly #options: CompactorOptions
  readonly #turns = new SerialQueue()
  readonly #tombstones: KnownTombstones
  readonly #offers: RemoteOffers | undefined
  #background: Promise<void> | undefined
  #kicked = false
  #running: CompactionPlan | undefined
  /** Values that lie in blob files of other databases are being brought home. */
  #detaching = false
  #ageTimer: Timer | undefined

  constructor(options: CompactorOptions) {
    this.#options = options
    this.#tombstones = new KnownTombstones(options.tables)
    const { remote, onRemote } = options
    if (remote === undefined) return
    this.#offers = new RemoteOffers({
      ...options,
      remote,
      commit: (plan, outputs, jobs, account) => this.#commitRemote(plan, outputs, jobs, account),
      onClosed: () => this.kick(),
      onReport: onRemote,
    })
  }

  /** Looks whether there is something to do; call after every change of the version. */
  kick(): void {
    this.#kicked = true
    if (this.#background !== undefined || this.#options.signal.aborted) return
    this.#background = this.#runBackground().finally(() => {
      this.#background = undefined
      // A change that came between the last look and here has not been looked at.
      if (this.#kicked) this.kick()
    })
  }

  /** The compaction that runs at the moment. */
  get running(): CompactionPlan | undefined {
    return this.#running
  }

  /** What became of the compactions that were offered to remote compactors. */
  remoteStats(): ReturnType<RemoteOffers['stats']> {
    return this.#offers?.stats() ?? { openJob: undefined, offered: 0, committed: 0, takenBack: 0 }
  }

  /** No result of a remote compactor is committed any more; call when the database is being closed. */
  stopOffers(): void {
    this.#offers?.stop()
  }

  /** How full each level is; 1 and above asks for a compaction. */
  scores(): number[] {
    return compactionScores(this.#options.versions.current.version, this.#options.settings, this.#context())
  }

  /**
   * Brings a range down to one sorted run, level by level, and rewrites what was in its last level already, so that no
   * tombstone and no superseded version of that time is left. In bounded steps: the background has its turns in between,
   * or writes would be held back for as long as this takes.
   */
  async compactRange(range: KeyRange): Promise<void> {
    const { versions, settings } = this.#options
    const target = manualTarget(versions.current.version, range, settings)
    const stale = tablesOf(versions.current.version, range)
    for (let level = 0; level < target; level++) {
      await this.#compactSteps(range, (rest) => pickManual(versions.current.version, level, rest, settings))
    }
    await this.#compactSteps(range, (rest) => pickManualRewrite(versions.current.version, target, rest, settings, stale))
  }

  /**
   * Rewrites every table that another database wrote or whose values lie in its blob files; resolves when the current version
   * has none.
   */
  async rewriteBorrowed(): Promise<void> {
    this.#detaching = true
    try {
      await this.#rewriteBorrowed()
    } finally {
      this.#detaching = false
    }
  }

  async #rewriteBorrowed(): Promise<void> {
    const { versions, settings } = this.#options
    for (;;) {
      const { version } = versions.current
      const borrowed = borrowedTables(version)
      if (borrowed.size === 0) return
      const inLevelZero = version.levels[0]?.some((file) => borrowed.has(file.id)) === true
      if (inLevelZero) await this.#compactSteps(ALL_KEYS, (rest) => pickManual(versions.current.version, 0, rest, settings))
      // From above, because the background moves tables down meanwhile; what it moves past us, the next round finds.
      for (let level = 1; level < LEVEL_COUNT; level++) {
        await this.#compactSteps(ALL_KEYS, (rest) => pickManualRewrite(versions.current.version, level, rest, settings, borrowed))
      }
    }
  }

  /** Resolves when nothing is running. */
  async drained(): Promise<void> {
    this.#ageTimer?.cancel()
    this.#offers?.stop()
    await this.#background
    await this.#turns.drained()
    await this.#offers?.drained()
  }

  async #compactSteps(range: KeyRange, pick: (rest: KeyRange) => ManualStep | undefined): Promise<void> {
    let rest: KeyRange | undefined = range
    while (rest !== undefined) {
      const present: KeyRange = rest
      rest = await this.#turns.run(async () => {
        // In a turn, so that nothing is offered before this step is done.
        await this.#offers?.takeBack('local')
        const step = pick(present)
        if (step !== undefined) await this.#compact(step.plan)
        return step?.rest
      })
    }
  }

  #context(): PickContext {
    const { snapshots, clock, rules } = this.#options
    return {
      oldestSnapshot: snapshots.held()[0],
      nowMs: clock.nowMs(),
      ttlNowMs: rules.ttlNowMs(),
      tombstonesOf: (file) => this.#tombstones.of(file),
      running: [this.#running, this.#offers?.running].filter((plan) => plan !== undefined),
    }
  }

  async #runBackground(): Promise<void> {
    const { signal, clock } = this.#options
    while (!signal.aborted) {
      this.#kicked = false
      try {
        const worked = await this.#turns.run(async () => {
          await this.#offers?.relieve()
          const plan = await this.#pick()
          if (plan === undefined) return false
          if ((await this.#offers?.offer(plan)) !== true) await this.#compact(plan)
          return true
        })
        if (!worked) return this.#armAgeTimer()
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

  async #pick(): Promise<CompactionPlan | undefined> {
    const { version } = this.#options.versions.current
    this.#tombstones.keepOnly(version)
    const wanted = tombstonesWanted(version, this.#context())
    if (wanted.length > 0) await this.#tombstones.load(wanted)
    return pickCompaction(this.#options.versions.current.version, this.#options.settings, this.#context())
  }

  /** Looks again when the oldest table has become too old, or the next one has expired; in between only changes of the version matter. */
  #armAgeTimer(): void {
    const { clock, versions, settings } = this.#options
    this.#ageTimer?.cancel()
    const { version } = versions.current
    const dueAtMs = Math.min(
      nextAgeAtMs(version, settings) ?? Number.POSITIVE_INFINITY,
      nextExpiryAtMs(version, this.#context(), EXPIRY_AGAIN_MS) ?? Number.POSITIVE_INFINITY,
    )
    if (dueAtMs === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(Math.max(dueAtMs - clock.nowMs(), AGE_CHECK_LEAST_MS), AGE_CHECK_MOST_MS)
    this.#ageTimer = clock.setTimer(delayMs, () => this.kick(), { unref: true })
  }

  async #compact(plan: CompactionPlan): Promise<void> {
    const out = this.#offers?.running
    if (out !== undefined && plansConflict(plan, out)) await this.#offers?.takeBack('local')
    this.#running = plan
    try {
      await this.#runAndCommit(plan)
    } finally {
      this.#running = undefined
    }
  }

  async #runAndCommit(plan: CompactionPlan): Promise<void> {
    const { versions, clock, byteWork, tableWriter, memory, rules, settings, signal } = this.#options
    if (signal.aborted) throw new MoraineError('CLOSED', 'the database was closed during a compaction')
    const startMs = clock.monotonicMs()
    const account = this.#options.account.sub()
    const inputs = new CompactionInputs(plan)
    const outputs: TableFile[] = []
    let steps = 0
    const publish = async (finished: readonly TableFile[], mergedTo: Uint8Array | undefined): Promise<void> => {
      await this.#publish(inputs, finished, mergedTo, account)
      tableWriter.published(finished)
      outputs.push(...finished)
      steps++
    }
    if (plan.reason === 'dead') {
      await publish([], undefined)
    } else if (isTrivialMove(plan)) {
      await publish(inputFiles(plan), undefined)
    } else {
      await runCompaction({
        plan,
        version: versions.current.version,
        rules: () => rules.job(plan.outputLevel),
        relocate: relocatedBlobs(plan, versions.current.version, settings, this.#detaching),
        code: rules.mergeCode(plan.outputLevel),
        targetFileSizeBytes: settings.targetFileSizeBytes,
        byteWork,
        tableWriter,
        memory,
        publish,
        account,
        signal,
      })
    }
    this.#completed(plan, outputs, { steps, remote: false, startMs, account })
  }

  async #publish(
    inputs: CompactionInputs,
    outputs: readonly TableFile[],
    mergedTo: Uint8Array | undefined,
    account: RequestAccount,
    change: (current: Manifest) => Omit<ManifestChange, 'edit'> = () => ({}),
  ): Promise<void> {
    const { versions, views, signal } = this.#options
    const { edit, committed } = inputs.step(outputs, mergedTo)
    await versions.commit(
      (current) => ({ ...change(current), edit }),
      ({ version }) => {
        const gone = committed(version)
        views.install({ version }, gone.length === 0 ? undefined : () => this.#options.onObsolete(gone))
        // In the same moment, so that no read of the new version finds its hot blocks cold.
        this.#options.tables.warm(outputs)
      },
      signal,
      account,
    )
  }

  async #commitRemote(
    plan: CompactionPlan,
    outputs: readonly TableFile[],
    jobs: (current: Manifest) => readonly CompactionJob[],
    account: RequestAccount,
  ): Promise<void> {
    const startMs = this.#options.clock.monotonicMs()
    await this.#publish(new CompactionInputs(plan), outputs, undefined, account, (current) => ({ jobs: jobs(current) }))
    this.#completed(plan, outputs, { steps: 1, remote: true, startMs, account })
  }

  #completed(
    plan: CompactionPlan,
    outputs: readonly TableFile[],
    work: { readonly steps: number; readonly remote: boolean; readonly startMs: number; readonly account: RequestAccount },
  ): void {
    const { steps, remote, startMs, account } = work
    const files = inputFiles(plan)
    const trivial = isTrivialMove(plan)
    const blobBytes = trivial ? 0 : writtenBlobBytes(plan, outputs)
    this.totals.compacted(plan, levelBytes(outputs) + blobBytes)
    this.#options.onCompacted({
      reason: plan.reason,
      inputLevels: plan.inputs.map(({ level }) => level),
      outputLevel: plan.outputLevel,
      inputFiles: files.length,
      inputBytes: levelBytes(files),
      outputFiles: outputs.length,
      outputBytes: trivial ? 0 : levelBytes(outputs),
      blobBytes,
      inputEntries: files.reduce((count, file) => count + file.entryCount, 0),
      outputEntries: outputs.reduce((count, file) => count + file.entryCount, 0),
      trivialMove: trivial,
      remote,
      steps,
      durationMs: this.#options.clock.monotonicMs() - startMs,
      cost: account.cost(),
    })
  }
}

function inputFiles({ inputs }: CompactionPlan): TableFile[] {
  return inputs.flatMap(({ files }) => [...files])
}
