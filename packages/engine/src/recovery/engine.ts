import { isMoraineError, type MemoryAccount, type MoraineError } from '@moraine/base'
import type { CountingObjectStore } from '@moraine/object-store'
import { type CheckpointRequest, Checkpoints } from '../checkpoint/checkpoints.ts'
import type { OriginReleaser } from '../checkpoint/origin-releaser.ts'
import { Compactor } from '../compaction/compactor.ts'
import { Flusher } from '../flush/flusher.ts'
import type { BackgroundCollector } from '../gc/background-collector.ts'
import type { KeyRange } from '../key/key-range.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { CheckpointRecord } from '../manifest/manifest.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { SnapshotRegistry } from '../read/snapshots.ts'
import type { TtlClock } from '../read/ttl-clock.ts'
import { type ReadHost, type ReadPoint, ViewReads } from '../read/view-reads.ts'
import type { ByteWork } from '../table/byte-work.ts'
import type { Keyspaces } from '../table/keyspaces.ts'
import type { OriginStores } from '../table/origin-stores.ts'
import type { TableStore } from '../table/table-store.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { WalStats } from '../wal/wal-stats.ts'
import type { MemtableLedger } from '../write/memtable-ledger.ts'
import { WritePath } from '../write/write-path.ts'
import type { BuildRules } from './build-rules.ts'
import type { CostBook } from './cost-book.ts'
import type { EmitEvent } from './engine-event.ts'
import { asMoraineError, closedError, closeGaveUp } from './engine-errors.ts'
import type { EngineLog } from './engine-log.ts'
import type { EngineSettings } from './engine-settings.ts'
import { FenceCheck } from './fence-check.ts'
import { KeyspaceMemory } from './keyspace-memory.ts'
import { OwnedLogs } from './owned-logs.ts'
import type { RestorePlan } from './restore-plan.ts'
import { untilDeadline } from './until-deadline.ts'

/** The parts of an engine, put together by `openEngine`. */
export interface EngineParts {
  readonly settings: EngineSettings
  readonly store: CountingObjectStore
  readonly costs: CostBook
  readonly stores: OriginStores
  readonly databaseId: string
  readonly versions: VersionSet
  /** For reading manifests other than the newest. */
  readonly history: ManifestStore
  readonly views: ViewRegistry
  readonly tables: TableStore
  readonly tableWriter: TableWriter
  readonly gc: BackgroundCollector
  readonly origins: OriginReleaser
  readonly byteWork: ByteWork
  readonly newMemtable: () => Memtable
  /** What the memory of this database is charged to. */
  readonly memory: MemoryAccount
  readonly ledger: MemtableLedger
  readonly log: EngineLog | undefined
  readonly lastSeq: number
  readonly emit: EmitEvent
  readonly keyspaces: Keyspaces
  readonly time: TtlClock
  readonly snapshots: SnapshotRegistry
  readonly rules: BuildRules
  /** Everything that was replayed at the opening is in the store now: the logs of owners before may go. */
  readonly forgetReplayed: () => Promise<void>
  /** Opens the same database again, at a checkpoint, with the same stores and caches. */
  readonly reopen: (restore: RestorePlan, signal: AbortSignal) => Promise<Engine>
}

type EngineState = 'open' | 'closing' | 'closed' | 'failed'

/**
 * A running database: wires the write path, the flusher, the compactor and the reads together and owns their life. One
 * failure that cannot be repaired (fenced, log lost, a defect) stops all of it: every pending and later call fails with
 * that error, and nothing is acknowledged any more.
 */
export class Engine implements ReadHost {
  readonly settings: EngineSettings
  readonly store: CountingObjectStore
  readonly costs: CostBook
  readonly stores: OriginStores
  readonly databaseId: string
  readonly versions: VersionSet
  readonly views: ViewRegistry
  readonly tables: TableStore
  readonly reads: ViewReads
  readonly writes: WritePath
  readonly snapshots: SnapshotRegistry
  readonly keyspaces: Keyspaces
  readonly keyspaceMemory: KeyspaceMemory
  readonly gc: BackgroundCollector
  readonly origins: OriginReleaser
  readonly checkpoints: Checkpoints
  readonly reopen: (restore: RestorePlan, signal: AbortSignal) => Promise<Engine>
  readonly compactor: Compactor
  readonly memory: MemoryAccount

  readonly #emit: EmitEvent
  readonly #time: TtlClock
  readonly #logs: OwnedLogs
  readonly #byteWork: ByteWork
  readonly #ledger: MemtableLedger
  readonly #flusher: Flusher
  readonly #abort = new AbortController()
  readonly #fenceCheck: FenceCheck
  readonly #replayedSeq: number
  #state: EngineState = 'open'
  #failure: unknown
  #closed: Promise<void> | undefined

  constructor(parts: EngineParts) {
    const { settings, views, versions, tables, tableWriter } = parts
    this.settings = settings
    this.store = parts.store
    this.costs = parts.costs
    this.stores = parts.stores
    this.databaseId = parts.databaseId
    this.versions = versions
    this.views = views
    this.tables = tables
    this.snapshots = parts.snapshots
    this.keyspaces = parts.keyspaces
    this.keyspaceMemory = new KeyspaceMemory({ ...parts, hasLog: parts.log !== undefined, onFenced: (error) => this.fail(error), signal: this.#abort.signal })
    this.#time = parts.time
    this.gc = parts.gc
    this.origins = parts.origins
    this.#emit = parts.emit
    this.#logs = new OwnedLogs({ log: parts.log, replayedSeq: parts.lastSeq, forgetReplayed: parts.forgetReplayed })
    this.#byteWork = parts.byteWork
    this.memory = parts.memory
    this.#ledger = parts.ledger
    this.reads = new ViewReads(this)
    this.reopen = parts.reopen
    this.#replayedSeq = parts.lastSeq
    const { clock } = settings
    const { accounts, checkpointCommits } = parts.costs
    const background = {
      views,
      versions,
      tableWriter,
      snapshots: this.snapshots,
      rules: parts.rules,
      clock,
      byteWork: parts.byteWork,
      memory: parts.memory,
      onReleased: () => this.#ledger.refresh(),
      onRetry: (error: MoraineError) => this.#emit('error', { error, willRetry: true }),
      onFailed: (error: unknown) => this.fail(error),
      signal: this.#abort.signal,
    }
    this.checkpoints = new Checkpoints({
      versions,
      readManifest: (id, signal, account) => parts.history.read(id, signal, account),
      seal: () => {
        this.writes.seal()
        return views.current.sealed[0]?.largestSeq ?? versions.current.flushedSeq
      },
      kick: () => this.#flusher.kick(),
      onListed: (report) => this.#emit('checkpoint', report),
      accounts: { flush: accounts.flush, commit: checkpointCommits, checkpoint: accounts.checkpoint },
      clock,
      random: settings.random,
      signal: this.#abort.signal,
    })
    this.#flusher = new Flusher({
      ...background,
      rider: this.checkpoints,
      account: accounts.flush,
      riderAccount: checkpointCommits,
      onFlushed: (report) => {
        this.compactor.totals.flushed(report.fileBytes + report.blobBytes)
        this.#emit('flush', report)
        this.#afterCommit()
        this.#logs.release(report.flushedSeq).catch((error: unknown) => this.#emit('error', { error: asMoraineError(error), willRetry: true }))
      },
      mayRelease: () => this.#state === 'closing',
      walEpochs: (current, flushedSeq, released) => this.#logs.epochs(current, flushedSeq, released),
    })
    this.compactor = new Compactor({
      ...background,
      settings,
      remote: settings.remoteCompaction,
      store: parts.stores.own,
      account: accounts.compaction,
      tables,
      random: settings.random,
      onRemote: (report) => this.#emit('remoteCompaction', report),
      onCompacted: (report) => {
        this.#emit('compaction', report)
        this.#afterCommit()
      },
      onObsolete: (files) => this.gc.tablesRetired(files),
    })
    this.writes = new WritePath({
      views,
      settings,
      log: parts.log,
      lastSeq: parts.lastSeq,
      newMemtable: () => parts.newMemtable(),
      onSealed: () => this.#flusher.kick(),
      ledger: parts.ledger,
      onStall: (stall) => this.#emit('stall', stall),
      onResume: (resume) => this.#emit('resume', resume),
      onLogFailed: (error) => this.fail(error),
      flushThrough: (seq) => this.flushThrough(seq),
      clock,
    })
    parts.ledger.attach(this.writes)
    parts.ledger.refresh()
    this.#flusher.kick()
    this.compactor.kick()
    this.#fenceCheck = new FenceCheck({
      versions,
      settings,
      lastSeq: () => this.writes.lastSeq,
      isOpen: () => this.#state === 'open',
      onFenced: (error) => this.fail(error),
      onRetry: (error) => this.#emit('error', { error: asMoraineError(error), willRetry: true }),
      account: accounts.fence,
      signal: this.#abort.signal,
    })
  }

  /** Throws what every call of a closed or failed engine throws. */
  ensureOpen(): void {
    if (this.#state === 'open') return
    throw this.#state === 'failed' ? this.#failure : closedError()
  }

  /**
   * Everything up to this sequence number survives the loss of this machine. Never below what the current view has in
   * tables, so a read of that view at this number finds every version it needs: tables hold nothing above it, and
   * memtables keep all versions while the view is held.
   */
  get durableSeq(): number {
    return Math.max(this.versions.current.flushedSeq, this.#logs.log?.storedSeq ?? 0)
  }

  /** Keeps the versions that a moment sees until it is released. */
  hold(at?: ReadPoint): { readonly point: ReadPoint; release(): void } {
    const point = { seq: this.writes.lastSeq, ...at, timeMs: at?.timeMs ?? this.#time.nowMs() }
    this.snapshots.add(point.seq, point.timeMs)
    return { point, release: () => this.snapshots.remove(point.seq) }
  }

  nowMs(): number {
    return this.#time.nowMs()
  }

  get operators(): MergeOperators {
    return this.keyspaces.operators
  }

  get lastSeq(): number {
    return this.writes.lastSeq
  }

  /** Keys written and looked up since opening. */
  operations(): { readonly puts: number; readonly gets: number } {
    return { puts: this.writes.lastSeq - this.#replayedSeq, gets: this.reads.lookups }
  }

  walStats(): WalStats {
    return this.#logs.log?.stats() ?? { kind: 'none' }
  }

  /** Resolves when everything written so far is in the store. */
  async flush(signal?: AbortSignal): Promise<void> {
    // Closing has refused the writes that were held back, so there is nothing to wait for.
    if (this.#state === 'open') await this.writes.inTurn(DONE, signal)
    await this.writes.drained()
    // Callers that put and flush faster than the store takes tables wait here, as writes do when memory is full.
    const { maxSealedMemtables } = this.settings
    for (;;) {
      const waiting = this.views.current.sealed
      if (waiting.length < maxSealedMemtables) break
      await this.#flusher.flushed((waiting.at(-1) as Memtable).largestSeq, signal)
    }
    this.writes.seal()
    await this.#flusher.flushed(this.writes.lastSeq, signal)
  }

  /** A checkpoint of everything written before this call, and of nothing written after it. */
  takeCheckpoint(request: CheckpointRequest, signal?: AbortSignal): Promise<CheckpointRecord> {
    let taken: Promise<CheckpointRecord> | undefined
    const take = async (): Promise<void> => {
      taken = this.checkpoints.take(request)
      // Whoever asked gets the failure; a write that was held back behind this must not.
      await taken.catch(() => {})
    }
    return this.writes.inTurn(take, signal).then(() => taken as Promise<CheckpointRecord>)
  }

  /** Shared flush: writes that ask for the store while a flush runs go out together with the next one. */
  async flushThrough(seq: number): Promise<void> {
    await this.#flusher.drained()
    if (this.versions.current.flushedSeq >= seq) return
    this.writes.seal()
    await this.#flusher.flushed(seq)
  }

  async compactRange(range: KeyRange): Promise<void> {
    await this.#asOwner(this.compactor.compactRange(range))
  }

  async detach(): Promise<void> {
    await this.#asOwner(this.compactor.rewriteBorrowed().then(() => this.origins.releaseNow()))
  }

  async deleteCheckpoint(idOrName: string): Promise<void> {
    await this.#asOwner(this.checkpoints.delete(idOrName))
  }

  /**
   * Stops for good because of `error`. Idempotent; the first reason stays.
   */
  fail(error: unknown): void {
    if (this.#state === 'failed' || this.#state === 'closed') return
    const reason = asMoraineError(error)
    this.#stop(reason)
    if (reason.code === 'FENCED') this.#emit('fenced', { error: reason })
    else this.#emit('error', { error: reason, willRetry: false })
  }

  #stop(reason: MoraineError): void {
    this.#state = 'failed'
    this.#failure = reason
    this.writes.abandon(reason)
    this.#flusher.stop(reason)
    this.#abort.abort(reason)
    this.#fenceCheck.cancel()
    this.#ledger.detach()
    this.gc.abandon(reason)
    this.origins.abandon(reason)
  }

  /**
   * Stops without flushing, because another engine is to take the database over in this process: that one gets the stores
   * and the caches. Every call from now on fails with `reason`.
   */
  async discard(reason: MoraineError): Promise<void> {
    this.#stop(reason)
    await this.#drained(this.#deadlineMs())
    // What the log still holds is given up; that it cannot be closed properly does not matter.
    await this.#logs.log?.close().catch(() => {})
  }

  /** The other engine could not be started: nobody uses the stores any more. */
  async restoreFailed(error: unknown): Promise<void> {
    this.#failure = asMoraineError(error)
    await this.close()
  }

  /**
   * Flushes everything and gives the database back. When the flush fails the engine is closed all the same, the log keeps
   * what was acknowledged, and the error says so.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close().finally(() => this.memory.close())
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#fenceCheck.cancel()
    this.compactor.stopOffers()
    const deadlineMs = this.#deadlineMs()
    let problem: unknown
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.writes.stop(closedError())
      problem = await this.#flushAndRelease()
    }
    this.#state = this.#state === 'failed' ? 'failed' : 'closed'
    this.#abort.abort(closedError())
    this.#flusher.stop(closedError())
    await this.#drained(deadlineMs)
    await this.#logs.close(() => this.#allFlushed()).catch((error: unknown) => {
      problem ??= error
    })
    await untilDeadline(this.settings.clock, deadlineMs, this.tables.close())
    await this.stores.close()
    if (problem !== undefined) throw problem
  }

  #deadlineMs(): number {
    return this.settings.clock.monotonicMs() + this.settings.closeTimeoutMs
  }

  /** Resolves when nothing runs any more. */
  async #drained(deadlineMs: number): Promise<void> {
    const { clock } = this.settings
    await this.#flusher.drained()
    await untilDeadline(clock, deadlineMs, this.compactor.drained())
    await untilDeadline(clock, deadlineMs, this.#byteWork.close())
    // What was replaced may still be deleted, unless the database is not ours any more.
    this.gc.stop()
    await untilDeadline(clock, deadlineMs, this.gc.drained())
    this.gc.abandon(closedError())
    this.origins.abandon(closedError())
    await this.writes.drained()
  }

  /** The flushed sequence number of a database that was given back whole. */
  #allFlushed(): number | undefined {
    const { released, flushedSeq } = this.versions.current
    return this.#state === 'failed' || !released || flushedSeq < this.writes.lastSeq ? undefined : flushedSeq
  }

  async #flushAndRelease(): Promise<unknown> {
    const { clock, closeTimeoutMs } = this.settings
    const deadline = new AbortController()
    const timer = clock.setTimer(closeTimeoutMs, () => {
      const error = closeGaveUp(this.settings, this.writes.lastSeq - this.versions.current.flushedSeq)
      deadline.abort(error)
      // A commit that repeats itself until the store answers stands before ours.
      this.#abort.abort(error)
      // So does a segment of the log that does the same.
      this.#logs.log?.abandon(error)
    })
    try {
      await this.flush(deadline.signal)
      // What a running compaction would win is not worth waiting for.
      if (!this.versions.current.released) await this.#release(deadline.signal)
      await this.#logs.log?.tidy(deadline.signal)
      return undefined
    } catch (error) {
      return error
    } finally {
      timer.cancel()
    }
  }

  async #release(signal: AbortSignal): Promise<void> {
    try {
      await this.versions.commit(() => ({ released: true, lastSeq: this.writes.lastSeq, walEpochs: [] }), () => {}, signal, this.costs.accounts.close)
    } catch (error) {
      // Everything is in the store, and the new owner has it: there is nothing to give back, and nothing was lost.
      if (!isMoraineError(error, 'FENCED')) throw error
      this.fail(error)
    }
  }

  #afterCommit(): void {
    this.#ledger.refresh()
    this.writes.resume()
    this.compactor.kick()
  }

  /** Work that may be the first to notice the new owner: from then on nothing may be acknowledged. */
  async #asOwner<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      if (isMoraineError(error, 'FENCED')) this.fail(error)
      throw error
    }
  }

  /** Throws what reads that have waited end with: those under way when `close` is called may still finish. */
  ensureReadable(): void {
    if (this.#state === 'failed') throw this.#failure
    if (this.#state === 'closed') throw closedError()
  }
}

const DONE = (): Promise<void> => Promise.resolve()
