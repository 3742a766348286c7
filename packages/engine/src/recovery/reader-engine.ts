import { isMoraineError, type MemoryAccount, MoraineError, SerialQueue, type Timer } from '@moraine/base'
import type { CountingObjectStore } from '@moraine/object-store'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { filesOf } from '../manifest/version.ts'
import { Memtable } from '../memtable/memtable.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import { type ReadView, ViewRegistry } from '../read/read-view.ts'
import { type ReadHost, type ReadPoint, ViewReads } from '../read/view-reads.ts'
import { TtlClock } from '../read/ttl-clock.ts'
import type { Keyspaces } from '../table/keyspaces.ts'
import type { OriginStores } from '../table/origin-stores.ts'
import type { TableStore } from '../table/table-store.ts'
import type { CostBook } from './cost-book.ts'
import type { EmitReaderEvent } from './reader-event.ts'
import type { HeldPin, ReaderLease } from './reader-lease.ts'
import type { ReaderSettings } from './reader-settings.ts'
import type { ReaderBasis, ReaderSource } from './reader-source.ts'
import { ReaderTail } from './reader-tail.ts'

export interface ReaderParts {
  readonly settings: ReaderSettings
  readonly store: CountingObjectStore
  readonly costs: CostBook
  readonly stores: OriginStores
  readonly tables: TableStore
  readonly manifests: ManifestStore
  readonly source: ReaderSource
  readonly basis: ReaderBasis
  readonly keyspaces: Keyspaces
  readonly lease: ReaderLease | undefined
  /** What the memory of this reader is charged to. */
  readonly memory: MemoryAccount
  readonly emit: EmitReaderEvent
  readonly closing: AbortController
}

/**
 * A database open for reading: the engine's read half over a manifest that a pin protects. A reader that follows moves to
 * the newest manifest with every refresh; reads, scans and snapshots that began before keep the view they began with, and
 * its pin, until they end.
 */
export class ReaderEngine implements ReadHost {
  readonly settings: ReaderSettings
  readonly store: CountingObjectStore
  readonly costs: CostBook
  readonly views: ViewRegistry
  readonly tables: TableStore
  readonly reads: ViewReads
  readonly memory: MemoryAccount

  readonly keyspaces: Keyspaces
  readonly operators: MergeOperators

  readonly #time: TtlClock
  readonly #stores: OriginStores
  readonly #manifests: ManifestStore
  readonly #source: ReaderSource
  readonly #lease: ReaderLease | undefined
  readonly #emit: EmitReaderEvent
  readonly #closing: AbortController
  readonly #tail: ReaderTail | undefined
  readonly #refreshes = new SerialQueue()
  readonly #pins = new WeakMap<ReadView, HeldPin>()
  #manifest: Manifest
  #checkpoint: CheckpointRecord | undefined
  #pin: HeldPin | undefined
  #timer: Timer | undefined
  #snapshots = 0
  #closed: Promise<void> | undefined

  constructor(parts: ReaderParts) {
    const { settings, stores, basis } = parts
    this.settings = settings
    this.store = parts.store
    this.costs = parts.costs
    this.#stores = stores
    this.#manifests = parts.manifests
    this.#source = parts.source
    this.#lease = parts.lease
    this.#emit = parts.emit
    this.#closing = parts.closing
    this.#manifest = basis.manifest
    this.#checkpoint = basis.checkpoint
    this.memory = parts.memory
    this.#time = new TtlClock(settings.clock, basis.manifest.ttlNowMs)
    this.keyspaces = parts.keyspaces
    this.operators = parts.keyspaces.operators
    this.tables = parts.tables
    const newMemtable = (): Memtable => new Memtable()
    this.views = new ViewRegistry(newMemtable(), basis.manifest.version)
    this.reads = new ViewReads(this)
    if (this.#source.follows) {
      const { databaseId } = basis.manifest
      this.#tail = new ReaderTail({ store: this.costs.store(stores.own, 'log'), databaseId, views: this.views, newMemtable })
      this.#tail.follow(basis.manifest)
    }
    this.#holdWith(basis.pin)
  }

  /** Reads the log's tail and starts to poll. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    await this.#pollTail(signal)
    if (this.#source.follows && this.settings.refreshIntervalMs > 0) this.#armRefresh()
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  get checkpoint(): CheckpointRecord | undefined {
    return this.#checkpoint
  }

  /** By this process's clock, but never before what the writer has seen. */
  nowMs(): number {
    return this.#time.nowMs()
  }

  get lastSeq(): number {
    return this.#tail?.lastSeq ?? this.#manifest.flushedSeq
  }

  get snapshots(): number {
    return this.#snapshots
  }

  get pins(): number {
    return this.#lease?.pins ?? 0
  }

  ensureOpen(): void {
    if (this.#closed !== undefined) throw new MoraineError('CLOSED', 'the reader is closed; open another one')
  }

  /**
   * Looked at before every wait for the store. That a lease lapses during the wait does no harm: a file is named once and
   * verified, so what comes is what was written, or nothing comes.
   */
  ensureReadable(view: ReadView): void {
    this.ensureOpen()
    const pin = this.#pins.get(view)
    if (pin !== undefined) this.#lease?.ensureValid(pin)
  }

  /** Why a file is not there: collected, because nothing protected it any more, or lost. */
  readFailure(error: unknown, view: ReadView): unknown {
    if (!isVanished(error)) return error
    const pin = this.#pins.get(view)
    if (pin !== undefined) {
      try {
        this.#lease?.ensureValid(pin)
        return error
      } catch (lapsed) {
        return lapsed
      }
    }
    const advice = this.#source.follows
      ? 'read again: a refresh finds the newest state'
      : 'open the reader anew when the checkpoint still exists'
    return new MoraineError(
      'UNAVAILABLE',
      `a file was collected while a reader without a lease was reading it; ${advice}. A reader with a lease keeps its files`,
      { detail: { ...error.detail }, cause: error },
    )
  }

  /** What a reader sees is in the store. */
  get durableSeq(): number {
    return this.lastSeq
  }

  /** Holds a moment, by default the present, for later reads: its view stays, and the pin of that. */
  hold(at?: ReadPoint): { readonly point: ReadPoint; release(): void } {
    const view = this.views.acquire(at?.view)
    this.#snapshots++
    const release = (): void => {
      this.#snapshots--
      this.views.release(view)
    }
    return { point: { seq: at?.seq ?? this.lastSeq, timeMs: at?.timeMs ?? this.nowMs(), view }, release }
  }

  /**
   * Looks for a newer manifest and for what the log has by now; says whether there was anything. One LIST when there is
   * nothing new, and a GET when the log is in the store. A reader of a checkpoint has nothing to look for, unless its
   * lease has lapsed: then it begins anew, as any reader does.
   */
  refresh(): Promise<boolean> {
    this.ensureOpen()
    return this.#refreshes.run(() => this.#refresh())
  }

  /** Whether a read that failed may be begun again: it met a file that a collector took, and there is a newer manifest. */
  async recover(error: unknown): Promise<boolean> {
    if (this.#lease !== undefined || !this.#source.follows || !isVanished(error)) return false
    const { id } = this.#manifest
    await this.refresh()
    return this.#manifest.id !== id
  }

  close(): Promise<void> {
    this.#closed ??= this.#close().finally(() => this.memory.close())
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    const deadline = this.settings.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#closing.abort())
    await this.#refreshes.drained()
    await this.#lease?.close()
    deadline.cancel()
    this.#closing.abort()
    await this.tables.close()
    await this.#stores.close()
  }

  async #refresh(): Promise<boolean> {
    const { signal } = this.#closing
    if (this.#hasLapsed()) {
      this.#install(await this.#source.acquire(signal))
    } else {
      if (!this.#source.follows) return false
      const newest = await this.#manifests.newestId(signal)
      if (newest === this.#manifest.id) return await this.#pollTail(signal)
      this.#install(await this.#source.acquire(signal, newest))
    }
    await this.#pollTail(signal)
    this.#emit('refresh', { manifestId: this.#manifest.id, lastSequence: this.lastSeq })
    return true
  }

  /** Reads what the log has by now; says whether there was anything. It stays in memory until a manifest has it. */
  async #pollTail(signal: AbortSignal = this.#closing.signal): Promise<boolean> {
    const some = (await this.#tail?.poll(signal)) ?? false
    const { active, sealed } = this.views.current
    const heldBytes = sealed.reduce((bytes, memtable) => bytes + memtable.memoryBytes, active.memoryBytes)
    this.memory.setMemtables({ activeBytes: 0, sealedBytes: 0, maySeal: false, heldBytes, poolBytes: 0 })
    return some
  }

  #hasLapsed(): boolean {
    if (this.#pin === undefined || this.#lease === undefined) return false
    try {
      this.#lease.ensureValid(this.#pin)
      return false
    } catch {
      return true
    }
  }

  /** From now on reads see this manifest. What only the one before it has is let go of when its last read ends. */
  #install({ manifest, checkpoint, pin }: ReaderBasis): void {
    const before = this.#manifest.version
    const pinBefore = this.#pin
    this.#manifest = manifest
    this.#time.advance(manifest.ttlNowMs)
    this.keyspaces.follow(manifest.keyspaces)
    this.#checkpoint = checkpoint
    this.views.install({ version: manifest.version, ...this.#tail?.follow(manifest) }, () => {
      const current = new Set<string>()
      for (const { id } of filesOf(this.#manifest.version)) current.add(id)
      for (const { id } of filesOf(before)) if (!current.has(id)) this.tables.forget(id)
      if (pinBefore !== undefined) void this.#lease?.release(pinBefore)
    })
    this.#holdWith(pin)
  }

  #holdWith(pin: HeldPin | undefined): void {
    this.#pin = pin
    if (pin !== undefined) this.#pins.set(this.views.current, pin)
  }

  #armRefresh(): void {
    this.#timer = this.settings.clock.setTimer(
      this.settings.refreshIntervalMs,
      () => {
        void this.#refreshInBackground().finally(() => {
          if (this.#closed === undefined) this.#armRefresh()
        })
      },
      { unref: true },
    )
  }

  async #refreshInBackground(): Promise<void> {
    try {
      await this.refresh()
    } catch (error) {
      if (this.#closed !== undefined) return
      const known = isMoraineError(error) ? error : new MoraineError('INTERNAL', 'a defect stopped a refresh', { cause: error })
      this.#emit('error', { error: known, willRetry: true })
    }
  }
}

const CLOSE_TIMEOUT_MS = 5_000

function isVanished(error: unknown): error is MoraineError {
  return isMoraineError(error) && error.detail['missing'] === true
}
