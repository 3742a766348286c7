import type { Clock, MemoryAccount, MoraineError } from '@moraine/base'
import { isMoraineError, sleep, WaitList } from '@moraine/base'
import type { RequestAccount, RequestCost } from '@moraine/object-store'
import { blobFileBytes } from '../blob/value-separator.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { Manifest, WalEpoch } from '../manifest/manifest.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { ApplicationCode, ByteWork, FlushJob } from '../table/byte-work.ts'
import type { BuiltTable } from '../table/built-table.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { CommitRider } from './commit-rider.ts'

/** What a flush did; times in milliseconds, sizes in bytes. */
export interface FlushReport {
  readonly entries: number
  readonly memtableBytes: number
  /** Of tables. */
  readonly fileBytes: number
  /** Of blob files. */
  readonly blobBytes: number
  readonly files: readonly string[]
  readonly flushedSeq: number
  readonly buildMs: number
  readonly uploadMs: number
  readonly commitMs: number
  /** Of this flush, from its first request to its commit; of a try that failed, none. */
  readonly cost: RequestCost
}

/** What a flush goes by, asked for when it begins. */
export interface FlushRules {
  job(level: number): FlushJob
  flushCode(): ApplicationCode | undefined
}

export interface FlusherOptions {
  readonly views: ViewRegistry
  readonly versions: VersionSet
  readonly tableWriter: TableWriter
  readonly byteWork: ByteWork
  /** What tables on their way to the store are charged to. */
  readonly memory: MemoryAccount
  /** No read uses a flushed memtable any more, and its memory is free. */
  readonly onReleased: () => void
  readonly rules: FlushRules
  readonly clock: Clock
  /** What travels with the commits. */
  readonly rider: CommitRider
  /** Charged for flushes, and for commits that only a rider needs. */
  readonly account: RequestAccount
  readonly riderAccount: RequestAccount
  readonly onFlushed: (report: FlushReport) => void
  /** A failed attempt that will be repeated. */
  readonly onRetry: (error: MoraineError) => void
  /** The flusher has stopped for good: fenced, or a defect. */
  readonly onFailed: (error: unknown) => void
  /** Whether the commit of the last sealed memtable may also release the database. */
  readonly mayRelease: () => boolean
  /** The logs in the store that are still needed once everything up to `flushedSeq` is flushed. */
  readonly walEpochs: (current: Manifest, flushedSeq: number, released: boolean) => readonly WalEpoch[]
  readonly signal: AbortSignal
}

const RETRY_FIRST_MS = 100
const RETRY_MOST_MS = 5_000

/**
 * Turns sealed memtables into tables of level 0, oldest first and one commit each, so that what the store holds is always
 * a prefix of history. A store that does not answer is asked again until it does or the database closes: the data stays
 * in memory and in the log meanwhile, and writers are held back by the byte budget.
 */
export class Flusher {
  readonly #options: FlusherOptions
  readonly #idle = new WaitList()
  #running: Promise<void> | undefined
  #failure: unknown

  constructor(options: FlusherOptions) {
    this.#options = options
  }

  /** Starts flushing what is sealed and committing what rides along, unless that is under way already. */
  kick(): void {
    if (this.#running !== undefined || this.#failure !== undefined || this.#options.signal.aborted) return
    if (this.#options.views.current.sealed.length === 0 && !this.#riderIsDue()) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#idle.wakeAll()
      // Something may have come after the last look.
      this.kick()
    })
  }

  /**
   * Resolves when no sealed memtable holds writes up to `seq` and nothing due waits for a commit; rejects when the flusher
   * has stopped for good.
   */
  async flushed(seq: number, signal?: AbortSignal): Promise<void> {
    while (this.#riderIsDue() || this.#options.views.current.sealed.some((memtable) => memtable.smallestSeq <= seq)) {
      if (this.#failure !== undefined) throw this.#failure
      this.kick()
      await this.#idle.wait(signal)
    }
  }

  /** Ends every wait with `error`. */
  stop(error: unknown): void {
    this.#failure ??= error
    this.#idle.rejectAll(error)
    this.#options.rider.stop(error)
  }

  /** Resolves when no flush is running. */
  async drained(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    let delayMs = RETRY_FIRST_MS
    for (;;) {
      const memtable = this.#options.views.current.sealed.at(-1)
      const riderIsDue = this.#riderIsDue()
      if ((memtable === undefined && !riderIsDue) || this.#options.signal.aborted) return
      try {
        // First what is due: the next flush would take the store past its point of the history.
        if (riderIsDue) await this.#commitRider()
        else if (memtable !== undefined) await this.#flush(memtable)
        delayMs = RETRY_FIRST_MS
        this.#idle.wakeAll()
      } catch (error) {
        if (this.#options.signal.aborted) return
        if (!isMoraineError(error, 'UNAVAILABLE')) {
          this.stop(error)
          this.#options.onFailed(error)
          return
        }
        this.#options.onRetry(error)
        await sleep(this.#options.clock, delayMs, this.#options.signal).catch(() => {})
        delayMs = Math.min(delayMs * 2, RETRY_MOST_MS)
      }
    }
  }

  #riderIsDue(): boolean {
    return this.#options.rider.isDue(this.#options.versions.current.flushedSeq)
  }

  async #commitRider(): Promise<void> {
    const { rider, versions, signal } = this.#options
    let boarded: ReturnType<CommitRider['board']>
    await versions.commit(
      (current) => {
        boarded = rider.board(current, current.flushedSeq)
        return boarded === undefined ? {} : { checkpoints: boarded.checkpoints }
      },
      () => boarded?.arrived(),
      signal,
      this.#options.riderAccount,
    )
  }

  async #flush(memtable: Memtable): Promise<void> {
    // A flush waits for nobody's memory: it is what gives memory back. A table is about as large as what is in it.
    const memory = this.#options.memory.hold('uploads', memtable.rawBytes)
    try {
      await this.#flushCharged(memtable)
    } finally {
      memory.release()
    }
  }

  async #flushCharged(memtable: Memtable): Promise<void> {
    const { views, versions, rules, tableWriter, rider, clock, signal } = this.#options
    const startMs = clock.monotonicMs()
    const account = this.#options.account.sub()
    const tables: BuiltTable[] = []
    const work = this.#options.byteWork.flush(memtable, rules.job(0), signal, rules.flushCode())
    for await (const table of work) tables.push(table)
    const builtMs = clock.monotonicMs()
    // Upload before commit: a manifest never names a file that may not exist.
    const files: TableFile[] = []
    for (const table of tables) files.push(await tableWriter.upload(table, signal, account))
    const uploadedMs = clock.monotonicMs()
    const flushedSeq = memtable.largestSeq
    // Once it is committed, the memtable may be gone.
    const memtableBytes = memtable.memoryBytes
    let boarded: ReturnType<CommitRider['board']>
    await versions.commit(
      (current) => {
        const released = this.#options.mayRelease() && views.current.sealed.length === 1 && views.current.active.isEmpty
        boarded = rider.board(current, flushedSeq)
        return {
          edit: { removed: [], added: files.map((file) => ({ level: 0, file })) },
          flushedSeq,
          lastSeq: Math.max(current.lastSeq, flushedSeq),
            released,
            walEpochs: this.#options.walEpochs(current, flushedSeq, released),
            ...(boarded !== undefined && { checkpoints: boarded.checkpoints }),
        }
      },
      (committed) => {
        views.install(
          { sealed: views.current.sealed.filter((sealed) => sealed !== memtable), version: committed.version },
          () => {
            memtable.release()
            this.#options.onReleased()
          },
          (view) => view.active === memtable || view.sealed.includes(memtable),
        )
        tableWriter.published(files)
        boarded?.arrived()
      },
      signal,
      account,
    )
    this.#options.onFlushed({
      entries: memtable.entryCount,
      memtableBytes,
      fileBytes: files.reduce((bytes, file) => bytes + file.sizeBytes, 0),
      blobBytes: tables.reduce((bytes, { blobs }) => bytes + blobFileBytes(blobs), 0),
      files: files.map((file) => file.id),
      flushedSeq,
      buildMs: builtMs - startMs,
      uploadMs: uploadedMs - builtMs,
      commitMs: clock.monotonicMs() - uploadedMs,
      cost: account.cost(),
    })
  }
}
