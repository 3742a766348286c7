import { abortError, type Clock, Deferred, onAbort } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { encodeOperation, visitOperations } from '../batch/batch-codec.ts'
import { levelBytes, levelZeroDepth } from '../manifest/version.ts'
import { insertOperation } from '../memtable/insert-operation.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import { ConflictWindow } from './conflict-window.ts'
import { GroupCommitter } from './group-committer.ts'
import { LoopTurns } from './loop-turns.ts'
import type { MemtableLedger } from './memtable-ledger.ts'
import { type Resume, type Stall, type StallReason, Stalls, type StallStats } from './stalls.ts'
import { TransactionTotals } from './transaction-totals.ts'
import type { WriteLog } from './write-log.ts'

/** When a write is acknowledged: in memory, in the log, or in the store. */
export type Durability = 'memory' | 'log' | 'store'

export interface WritePathSettings {
  /** A memtable of this many bytes is sealed. */
  readonly memtableSizeBytes: number
  /** Sealed memtables that may wait for their flush before writes are held back. */
  readonly maxSealedMemtables: number
  /** Tables in level 0 that hold writes back until compaction has caught up. */
  readonly level0StopTrigger: number
  /** Memory for the recent writes that open transactions and conditional writes may conflict with. */
  readonly conflictWindowSizeBytes: number
}

export interface WritePathOptions {
  readonly views: ViewRegistry
  readonly settings: WritePathSettings
  /** Undefined: no log. */
  readonly log: WriteLog | undefined
  /** The last sequence number used so far. */
  readonly lastSeq: number
  readonly newMemtable: () => Memtable
  /** A memtable was sealed and waits for its flush. */
  readonly onSealed: () => void
  /** Writes are held back from now on, and go on again. */
  readonly onStall: (stall: Stall) => void
  readonly onResume: (resume: Resume) => void
  /** Is told when memtables grow, and says when there is no memory for more. */
  readonly ledger: MemtableLedger
  /** The log failed; no later write can be acknowledged. */
  readonly onLogFailed: (error: unknown) => void
  /** Resolves when the store holds everything up to `seq`. */
  readonly flushThrough: (seq: number) => Promise<void>
  readonly clock: Clock
}

interface HeldWrite {
  readonly apply: () => Promise<void>
  readonly done: Deferred<void>
}

/**
 * Takes writes in: gives each its sequence number, puts it into the memtable (from then on this process reads it) and
 * into the log's current group, all in one synchronous step, so that sequence numbers, memtable and log agree in order
 * and a batch is never half visible. While memory is full or level 0 too deep, writes are queued in order.
 */
export class WritePath {
  readonly #options: WritePathOptions
  readonly #views: ViewRegistry
  readonly #turns: LoopTurns
  readonly #committer: GroupCommitter | undefined
  readonly #held = new Set<HeldWrite>()
  readonly #heldBySignal = new WeakMap<AbortSignal, HeldWrite>()
  readonly #stalls: Stalls
  #active: Memtable
  #lastSeq: number
  /** What `ledger` knows of the active memtable. */
  #activeBytes = 0
  #stopped: unknown
  /** What was written since the oldest open transaction began. */
  readonly conflicts: ConflictWindow
  readonly transactions: TransactionTotals = new TransactionTotals()

  constructor(options: WritePathOptions) {
    this.#options = options
    this.#views = options.views
    this.#turns = new LoopTurns(options.clock)
    this.#stalls = new Stalls(options)
    this.#active = options.views.current.active
    this.#lastSeq = options.lastSeq
    this.conflicts = new ConflictWindow(options.settings.conflictWindowSizeBytes)
    this.#committer = options.log === undefined ? undefined : new GroupCommitter(options.log, options.onLogFailed)
  }

  get lastSeq(): number {
    return this.#lastSeq
  }

  get heldWrites(): number {
    return this.#held.size
  }

  get #stalled(): StallReason | undefined {
    return this.#stalls.reason
  }

  stallStats(): StallStats {
    return this.#stalls.stats()
  }

  /** Whether the write with this signal is held back still: then the signal withdraws it without a trace. */
  isHeld(signal: AbortSignal): boolean {
    const write = this.#heldBySignal.get(signal)
    return write !== undefined && this.#held.has(write)
  }

  /**
   * One operation: `kind`, key and value as in a batch (batch/batch-codec.ts). They are consumed before this returns,
   * unless the write is held back: then they are copied.
   */
  apply(
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    durability: Durability | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#mustHold()) {
      const k = key.slice(keyStart, keyEnd)
      const v = value.slice()
      return this.#hold(() => this.#apply(kind, k, 0, k.length, v, durability), signal)
    }
    return this.#apply(kind, key, keyStart, keyEnd, value, durability)
  }

  /** All operations of an encoded batch, at once. */
  write(
    operations: Uint8Array,
    count: number,
    durability: Durability | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#mustHold()) {
      const copy = operations.slice()
      return this.#hold(() => this.#write(copy, count, durability), signal)
    }
    return this.#write(operations, count, durability)
  }

  /**
   * Like `write`, but `admit` decides in the write's turn, with nothing between its answer and the write: false or an error
   * leaves no trace. The operations must not change before this resolves.
   */
  writeIf(
    operations: Uint8Array,
    count: number,
    admit: () => boolean,
    durability: Durability | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return this.inTurn(() => (admit() ? this.#write(operations, count, durability) : DONE), signal)
  }

  /**
   * Runs `action` when every write made before it has been taken in: at once, unless writes are held back; then in its
   * turn, before the writes made after it.
   */
  inTurn(action: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    return this.#mustHold() ? this.#hold(action, signal) : action()
  }

  /** Seals the active memtable unless it is empty; resolves nothing, the flusher takes it from here. */
  seal(): void {
    if (this.#active.isEmpty) return
    const sealed = [this.#active, ...this.#views.current.sealed]
    this.#active = this.#options.newMemtable()
    this.#views.install({ active: this.#active, sealed })
    this.#committer?.rotateBeforeNext()
    this.#activeBytes = this.#active.memoryBytes
    this.#options.ledger.refresh()
    this.#options.onSealed()
  }

  /** A flush or a compaction ended, or another database gave memory back: lets held writes go on as far as there is room. */
  resume(): void {
    if (this.#stopped !== undefined) return
    this.#reconsider()
    for (const write of this.#held) {
      if (this.#stalled !== undefined || this.#stopped !== undefined) return
      this.#held.delete(write)
      try {
        write.done.resolve(write.apply())
      } catch (error) {
        write.done.reject(error)
      }
    }
  }

  /** Fails held writes and everything unacknowledged or later with `error`. */
  stop(error: unknown): void {
    this.#stopped ??= error
    const held = [...this.#held]
    this.#held.clear()
    this.#stalls.change(undefined, held.length)
    for (const write of held) write.done.reject(error)
    this.conflicts.stop()
  }

  /** Like `stop`, and fails the groups that the log has not acknowledged as well. */
  abandon(error: unknown): void {
    this.stop(error)
    this.#committer?.fail(error)
    this.#options.log?.abandon(error)
  }

  /** Resolves when the log is idle. */
  async drained(): Promise<void> {
    await this.#committer?.drained()
  }

  #mustHold(): boolean {
    if (this.#stopped !== undefined) throw this.#stopped
    return this.#stalled !== undefined || this.#held.size > 0
  }

  #apply(
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    durability: Durability | undefined,
  ): Promise<void> {
    const seq = this.#lastSeq + 1
    if (kind === EntryKind.deleteRange) this.#active.deleteRange(seq, key.subarray(keyStart, keyEnd), value)
    else this.#active.insert(seq, kind, key, keyStart, keyEnd, value, 0, value.length)
    this.#lastSeq = seq
    if (this.conflicts.recording) this.conflicts.record(seq, kind, key, keyStart, keyEnd, value, 0, value.length)
    let logged: Promise<void> = DONE
    if (this.#committer !== undefined) {
      const group = this.#committer.join(seq)
      encodeOperation(group.payload, kind, key, keyStart, keyEnd, value, 0, value.length)
      group.count++
      logged = group.acknowledged.promise
    }
    return this.#inserted(seq, 1, logged, durability)
  }

  #write(operations: Uint8Array, count: number, durability: Durability | undefined): Promise<void> {
    let seq = this.#lastSeq
    const active = this.#active
    visitOperations(operations, 'a write batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      insertOperation(active, ++seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd)
    })
    let logged: Promise<void> = DONE
    if (this.#committer !== undefined) {
      const group = this.#committer.join(this.#lastSeq + 1)
      group.payload.bytes(operations)
      group.count += count
      logged = group.acknowledged.promise
    }
    if (this.conflicts.recording) this.conflicts.recordOperations(this.#lastSeq + 1, operations)
    this.#lastSeq = seq
    return this.#inserted(seq, count, logged, durability)
  }

  #inserted(seq: number, writes: number, logged: Promise<void>, durability: Durability | undefined): Promise<void> {
    const turn = this.#turns.passed(writes)
    const acknowledged = this.#acknowledged(seq, logged, durability)
    return turn === undefined ? acknowledged : turn.then(() => acknowledged)
  }

  #acknowledged(seq: number, logged: Promise<void>, durability: Durability | undefined): Promise<void> {
    const { memoryBytes } = this.#active
    if (memoryBytes !== this.#activeBytes) this.#grown(memoryBytes)
    if (memoryBytes >= this.#options.settings.memtableSizeBytes) this.#reconsider()
    if (durability === undefined || durability === 'log') return logged
    if (durability === 'memory') return DONE
    return this.#options.log?.inStore === true ? logged : logged.then(() => this.#options.flushThrough(seq))
  }

  /** The active memtable took more memory: a large value, or another chunk for many small ones. */
  #grown(memoryBytes: number): void {
    const { ledger } = this.#options
    this.#activeBytes = memoryBytes
    ledger.refresh()
    if (ledger.mustHold()) this.#reconsider()
  }

  /** Something has changed that may hold writes back or let them go on. */
  #reconsider(): void {
    this.#stalls.change(this.#makeRoom(), this.#held.size)
  }

  /** Seals a full memtable if another one may wait; says why writes have to be held back, if they have to. */
  #makeRoom(): Stall | undefined {
    const { settings, ledger } = this.#options
    const { maxSealedMemtables, level0StopTrigger } = settings
    if (this.#active.memoryBytes >= settings.memtableSizeBytes) {
      const sealedMemtables = this.#views.current.sealed.length
      if (sealedMemtables >= maxSealedMemtables) {
        return { reason: 'memtables', sealedMemtables, maxSealedMemtables, memtableBytes: this.#memtableBytes() }
      }
      this.seal()
    }
    if (ledger.mustHold()) {
      // Our own flush makes room for us even where the other databases are stuck.
      if (this.#views.current.sealed.length === 0) this.seal()
      return { reason: 'memory', ...ledger.limits, memtableBytes: this.#memtableBytes() }
    }
    const levelZero = this.#views.current.version.levels[0] ?? []
    const tables = levelZeroDepth(levelZero)
    if (tables < level0StopTrigger) return undefined
    return { reason: 'level0', tables, level0StopTrigger, sizeBytes: levelBytes(levelZero) }
  }

  #memtableBytes(): number {
    const { active, sealed } = this.#views.current
    return sealed.reduce((bytes, memtable) => bytes + memtable.memoryBytes, active.memoryBytes)
  }

  #hold(apply: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(abortError(signal))
    const write: HeldWrite = { apply, done: new Deferred<void>() }
    this.#held.add(write)
    if (signal === undefined) return write.done.promise
    this.#heldBySignal.set(signal, write)
    const unlisten = onAbort(signal, () => {
      if (this.#held.delete(write)) write.done.reject(abortError(signal))
    })
    return write.done.promise.finally(unlisten)
  }
}

const DONE: Promise<void> = Promise.resolve()
