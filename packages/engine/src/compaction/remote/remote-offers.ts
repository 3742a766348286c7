import { type Clock, isMoraineError, MoraineError, type Random, SerialQueue, sleep } from '@moraine/base'
import { AccountedObjectStore, type ObjectStore, type RequestAccount } from '@moraine/object-store'
import { BLOB_FOOTER_BYTES } from '../../blob/blob-format.ts'
import { ALL_KEYS } from '../../key/key-range.ts'
import { type FileId, type JobId, jobOfFile, newJobId } from '../../layout/object-names.ts'
import type { CompactionJob, Manifest } from '../../manifest/manifest.ts'
import type { TableFile } from '../../manifest/table-file.ts'
import { levelZeroDepth } from '../../manifest/version.ts'
import type { VersionSet } from '../../manifest/version-set.ts'
import type { TableStore } from '../../table/table-store.ts'
import { relocatedBlobs, relocating } from '../blob-garbage.ts'
import { type CompactionPlan, type CompactionSettings, inputBytes, isTrivialMove } from '../compaction-plan.ts'
import { mergeJob, type MergeRules } from '../merge-job.ts'
import { JobObjects, Standstill } from './job-objects.ts'
import { decodeJobResult } from './job-result.ts'
import { encodeJobWork } from './job-work.ts'

/** When compactions are offered to remote compactors, and for how long. */
export interface RemoteCompactionSettings {
  /** An attempt whose heartbeat stands still for so long is given up; the job goes back after twice that. */
  readonly leaseMs: number
  /** A job that nobody claims in this time goes back. */
  readonly takeBackAfterMs: number
  /** Smaller compactions are done by the owner. */
  readonly minSizeBytes: number
}

/**
 * Why the owner took a job back. `unclaimed`, `standstill`: nobody works on it. `stall`: writes were about to be held back.
 * `local`: a compaction by request needs the same tables. `damaged`: the result could not be used.
 */
export type TakeBackReason = 'unclaimed' | 'standstill' | 'stall' | 'local' | 'damaged'

/** What has become of a compaction that was offered to remote compactors. */
export interface RemoteCompactionReport {
  /** Names its objects under `compaction/`. */
  readonly job: string
  readonly state: 'offered' | 'committed' | 'taken-back'
  /** With `taken-back`. */
  readonly reason?: TakeBackReason | undefined
}

export interface RemoteOffersOptions {
  readonly remote: RemoteCompactionSettings
  readonly settings: CompactionSettings & { readonly level0StopTrigger: number }
  readonly store: ObjectStore
  readonly account: RequestAccount
  readonly versions: VersionSet
  readonly tables: TableStore
  readonly rules: MergeRules
  readonly clock: Clock
  readonly random: Random
  /** Puts `outputs` in the place of the plan's inputs and applies `jobs`, in one commit. */
  readonly commit: (
    plan: CompactionPlan,
    outputs: readonly TableFile[],
    jobs: (current: Manifest) => readonly CompactionJob[],
    account: RequestAccount,
  ) => Promise<void>
  /** There may be something to do for the owner itself. */
  readonly onClosed: () => void
  readonly onReport: (report: RemoteCompactionReport) => void
  readonly onRetry: (error: MoraineError) => void
  readonly onFailed: (error: unknown) => void
  readonly signal: AbortSignal
}

interface OpenJob {
  readonly id: JobId
  readonly plan: CompactionPlan
  /** Blob files that the outputs must not refer to any more. */
  readonly relocate: readonly FileId[]
  readonly objects: JobObjects
  /** Of everything that the owner asks of the store because of this job. */
  readonly account: RequestAccount
  closed: boolean
}

const POLL_MOST_MS = 1_000
const POLLS_PER_LEASE = 8

/** The manifest repeats an open job with every commit: what would make it large is done by the owner. */
const MOST_WORK_CHARS = 256 * 1024

/** After a take-back nothing is offered for so many times `takeBackAfterMs`: perhaps nobody is there. */
const LOCAL_TIMES = 10

/**
 * The owner's side of remote compaction. Order, and the reason for each step:
 *
 *   1. A commit lists the job: the merge as data, under an id that is never used again (epoch and number). From here on,
 *      whoever can read the tables may do the work. While it is listed the owner compacts nothing that conflicts with
 *      it, so the inputs stay in the version and in the store, and collectors leave alone what has the job's name.
 *   2. A compactor creates `<attempt>.claim` if absent: of all that try, one gets an attempt. It rewrites
 *      `<attempt>.heartbeat` for as long as it works, so that others can tell it from a dead one, each by its own
 *      monotonic clock. Attempt n+1 may be claimed when attempt n has stood still. That the first one may go on all
 *      the same does no harm: its tables have other names.
 *   3. It uploads tables whose names hold job and attempt, and only then creates `<attempt>.result`.
 *   4. The owner sees a result, checks that it can be one and that every table is there with the size and the tail that
 *      the result says, and commits: inputs out, outputs in, job closed, in one manifest. A job is closed once, so at
 *      most one result counts, and no result of a job that was taken back; other results and their tables are garbage.
 *   5. Instead of 4 the owner may take the job back at any time, by a commit that does not list it any more. Only then
 *      does it touch the inputs itself.
 *   6. The job's objects are deleted. What a compactor that has not noticed writes later belongs to a job that no
 *      manifest lists, and the owner's collector takes it.
 *
 * The list of snapshots is fixed in 1. A snapshot taken later reads at a sequence number that is not below that of any
 * input, because inputs were flushed before; so of every key it sees the newest version in the merge or a newer one, and
 * a merge always keeps the newest. Spans of older data outside of the merge are fixed in 1 as well: flushes and other
 * compactions bring only newer data above, and what they move further down stays within the spans it had, or goes.
 *
 * A new owner lists no job of an older one (take-ownership.ts), nor does one that has closed (version-set.ts). Whoever is
 * fenced can commit no result. Nothing is asked of the store while no job is open.
 */
export class RemoteOffers {
  readonly #options: RemoteOffersOptions
  /** Commits that close a job come one after the other. */
  readonly #turns = new SerialQueue()
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #open: OpenJob | undefined
  #offered = 0
  #committed = 0
  #takenBack = 0
  #localUntilMs: number
  #work: Promise<void> = Promise.resolve()

  constructor(options: RemoteOffersOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal])
    this.#localUntilMs = options.clock.monotonicMs()
  }

  /** The compaction that is out of the house: nothing of it may be picked. */
  get running(): CompactionPlan | undefined {
    return this.#open?.plan
  }

  stats(): { readonly openJob: string | undefined; readonly offered: number; readonly committed: number; readonly takenBack: number } {
    return { openJob: this.#open?.id, offered: this.#offered, committed: this.#committed, takenBack: this.#takenBack }
  }

  /** Offers a compaction, which must not conflict with one that runs; false when the owner should do it itself. */
  async offer(plan: CompactionPlan): Promise<boolean> {
    const { remote, settings, versions, rules, clock, onReport } = this.#options
    if (this.#open !== undefined || this.#signal.aborted || clock.monotonicMs() < this.#localUntilMs) return false
    // A filter is code of the application; an operator too, but what it does not merge now is merged later.
    if (rules.mergeCode(plan.outputLevel)?.filters !== undefined) return false
    if (inputBytes(plan) < remote.minSizeBytes || isTrivialMove(plan) || plan.reason === 'dead' || this.#holdsUpWrites(plan)) return false
    const { current } = versions
    const relocate = relocatedBlobs(plan, current.version, settings, false)
    const merge = mergeJob(plan, current.version, ALL_KEYS, {
      ...relocating(rules.job(plan.outputLevel), relocate),
      targetSizeBytes: settings.targetFileSizeBytes,
    })
    if (merge === undefined) return false
    const work = encodeJobWork({ merge, outputLevel: plan.outputLevel, leaseMs: remote.leaseMs })
    if (work.length > MOST_WORK_CHARS) return false
    const id = newJobId(current.epoch, ++this.#offered)
    const account = this.#options.account.sub()
    const store = new AccountedObjectStore(this.#options.store, account)
    const open = { id, plan, relocate, objects: new JobObjects(id, { ...this.#options, store }), account, closed: false }
    this.#open = open
    try {
      await versions.commit(({ jobs }) => ({ jobs: [...jobs, { id, work }] }), () => {}, this.#options.signal, account)
    } catch (error) {
      this.#open = undefined
      throw error
    }
    onReport({ job: id, state: 'offered' })
    this.#work = this.#watch(open)
    return true
  }

  /** Makes the open job the owner's own again, if there is one. */
  takeBack(reason: TakeBackReason): Promise<void> {
    return this.#turns.run(async () => {
      const open = this.#open
      if (open === undefined || this.#signal.aborted) return
      const { versions, remote, clock, signal, onReport } = this.#options
      await versions.commit((current) => ({ jobs: without(current, open.id) }), () => {}, signal, open.account)
      this.#takenBack++
      this.#localUntilMs = clock.monotonicMs() + remote.takeBackAfterMs * LOCAL_TIMES
      this.#close(open)
      onReport({ job: open.id, state: 'taken-back', reason })
    })
  }

  /** Takes the open job back when level 0 cannot be compacted because of it and fills up. */
  async relieve(): Promise<void> {
    if (this.#open !== undefined && this.#holdsUpWrites(this.#open.plan)) await this.takeBack('stall')
  }

  /** Commits no result any more and asks nothing more of the store. */
  stop(): void {
    this.#stop.abort(new MoraineError('CLOSED', 'the database is being closed'))
  }

  async drained(): Promise<void> {
    await this.#work
    await this.#turns.drained()
  }

  /** Level 0 has gone half of the way from its trigger to where writes are held back, and waits for this. */
  #holdsUpWrites(plan: CompactionPlan): boolean {
    const { settings, versions } = this.#options
    const files = levelZeroDepth(versions.current.version.levels[0] ?? [])
    const urgent = (settings.level0CompactionTrigger + settings.level0StopTrigger) / 2
    return files >= urgent && plan.inputs.some(({ level }) => level <= 1)
  }

  async #watch(open: OpenJob): Promise<void> {
    const { remote, clock, onRetry, onFailed } = this.#options
    const standstill = new Standstill(clock)
    const pollMs = Math.min(POLL_MOST_MS, Math.ceil(Math.min(remote.leaseMs, remote.takeBackAfterMs) / POLLS_PER_LEASE))
    while (!open.closed) {
      try {
        await sleep(clock, pollMs, this.#signal)
        if (!open.closed) await this.#look(open, standstill)
      } catch (error) {
        if (this.#signal.aborted) return
        if (!isMoraineError(error, 'UNAVAILABLE')) return onFailed(error)
        onRetry(error)
      }
    }
    // What is left over is found by the collector.
    await open.objects.deleteAll(this.#signal).catch(() => {})
  }

  async #look(open: OpenJob, standstill: Standstill): Promise<void> {
    const { leaseMs, takeBackAfterMs } = this.#options.remote
    const sight = await open.objects.look(this.#signal)
    for (const attempt of sight.results) if (await this.#accept(open, attempt)) return
    if (sight.results.length > 0) return await this.takeBack('damaged')
    const stillMs = standstill.stillMs(sight)
    if (sight.attempt === 0 && stillMs >= takeBackAfterMs) await this.takeBack('unclaimed')
    // Another compactor had one lease to notice, and another one to take over.
    else if (sight.attempt > 0 && stillMs >= leaseMs * 2) await this.takeBack('standstill')
  }

  /** Commits a result; false when it is unusable. */
  #accept(open: OpenJob, attempt: number): Promise<boolean> {
    return this.#turns.run(async () => {
      if (open.closed) return true
      const { commit, onReport, onRetry } = this.#options
      const outputs = await this.#verified(open, attempt).catch((error: unknown) => {
        if (!isMoraineError(error, 'CORRUPTION') && !isMoraineError(error, 'INVALID')) throw error
        onRetry(error)
        return undefined
      })
      if (outputs === undefined) return false
      const closing = (current: Manifest): readonly CompactionJob[] => {
        if (this.#signal.aborted) throw new MoraineError('CLOSED', 'the database was closed before a remote compaction')
        return without(current, open.id)
      }
      await commit(open.plan, outputs, closing, open.account)
      this.#committed++
      this.#close(open)
      onReport({ job: open.id, state: 'committed' })
      return true
    })
  }

  /**
   * The tables of a result, each opened by one ranged GET, which checks its size and its tail; of the blob files written
   * with them, the footer is asked for.
   */
  async #verified({ id, plan, relocate, objects, account }: OpenJob, attempt: number): Promise<TableFile[] | undefined> {
    const { tables } = this.#options
    const bytes = await objects.readResult(attempt, this.#signal)
    if (bytes === undefined) return undefined
    const outputs = decodeJobResult(bytes, id, attempt, plan, relocate)
    try {
      for (const file of outputs) {
        await tables.loadMetadata(tables.handle(file), account)
        for (const { id: blob, sizeBytes } of file.blobs ?? []) {
          if (jobOfFile(blob) !== id) continue
          await tables.blobs.read(blob, sizeBytes - BLOB_FOOTER_BYTES, BLOB_FOOTER_BYTES, { account, signal: this.#signal })
        }
      }
    } catch (error) {
      for (const file of outputs) tables.forget(file.id)
      throw error
    }
    return outputs
  }

  #close(open: OpenJob): void {
    open.closed = true
    this.#open = undefined
    this.#options.onClosed()
  }
}

function without({ jobs }: Manifest, id: JobId): CompactionJob[] {
  return jobs.filter((job) => job.id !== id)
}
