import { type CallLimits, hasLimits, stopWaitingWhile } from '@moraine/base'
import type { Bytes } from '../batch/limits.ts'
import type { VersionDiff } from '../checkpoint/diff-versions.ts'
import { checkKeyspaceName, DEFAULT_KEYSPACE } from '../key/keyspace.ts'
import type { Engine } from '../recovery/engine.ts'
import type { EngineEvents } from '../recovery/engine-event.ts'
import { restoreEngine } from '../recovery/restore-engine.ts'
import { limitedTurn } from './call-options.ts'
import { type Checkpoint, type CheckpointOptions, checkpointReference, checkpointRequest, publicCheckpoint } from './checkpoint-options.ts'
import { type DbStats, dbStats } from './db-stats.ts'
import type { EventListeners, EventName } from './event-listeners.ts'
import { Keyspace } from './keyspace.ts'
import { type KeyspaceOptions, keyspaceSettings } from './keyspace-options.ts'
import { compactUserRange } from './scan-options.ts'
import { ReadsByKeyspace } from './reads-by-keyspace.ts'
import { runTransaction, type TransactOptions } from './run-transaction.ts'
import { Transaction, type TransactionOptions } from './transaction.ts'
import { WriteCalls } from './write-calls.ts'

/**
 * An open database. Keys and values are bytes; text is stored as UTF-8. Every method that fails rejects with a
 * MoraineError; INVALID always comes before anything was written.
 */
export class Db extends WriteCalls {
  #restoring: { readonly ended: Promise<unknown>; readonly abort: AbortController } | undefined
  readonly #events: EventListeners<EngineEvents>
  #transactionReads: ReadsByKeyspace | undefined

  /** Made by `open`. */
  constructor(engine: Engine, events: EventListeners<EngineEvents>) {
    super({ engine }, DEFAULT_KEYSPACE)
    this.#events = events
  }

  /**
   * A named keyspace: its keys are its own. Settings are remembered or fixed by the first call, as they say; INVALID when
   * they contradict what the database remembers.
   */
  keyspace(name: string, options?: KeyspaceOptions): Keyspace {
    const { engine } = this.slot
    engine.ensureOpen()
    engine.keyspaces.declare(checkKeyspaceName(name), keyspaceSettings('keyspace', options))
    return new Keyspace(this.slot, name)
  }

  /**
   * Begins a transaction on the present state: its reads see that state and its own writes, and its commit fails with
   * CONFLICT when another writer came first. Commit it or roll it back: an open one keeps old versions from going.
   */
  transaction(options?: TransactionOptions): Transaction {
    const { engine } = this.slot
    engine.ensureOpen()
    if (this.#transactionReads?.engine !== engine) this.#transactionReads = new ReadsByKeyspace(engine)
    return new Transaction(engine, this.#transactionReads, options)
  }

  /**
   * Runs `work` in a transaction and commits it; after a CONFLICT all of it runs again on the then present state. Any other
   * error rolls back and passes through. Resolves to what `work` gave.
   */
  transact<Result>(work: (tx: Transaction) => Promise<Result>, options?: TransactOptions): Promise<Result> {
    return this.guard(() => runTransaction(this, this.slot.engine.settings, work, options))
  }

  /** Writes everything in memory to the store; resolves when it is durable there. */
  flush(options?: CallLimits): Promise<void> {
    return this.waiting('flush', options, 'what it has begun goes on in the background', (signal) => this.slot.engine.flush(signal))
  }

  /** Compacts a range (default everything, named keyspaces included) down to one sorted run, without waiting for the background to see a need. */
  compact(range?: { gte?: Bytes; lt?: Bytes }, options?: CallLimits): Promise<void> {
    return this.waiting('compact', options, 'the compaction goes on in the background', (signal) =>
      compactUserRange(this.slot.engine, range === undefined ? undefined : this.prefix, range, signal),
    )
  }

  /**
   * Makes the present state durable under a name of its own, to be opened, cloned or restored later. What was written
   * before this call is part of it, what is written after the call is not; writes go on meanwhile. Only what is not in
   * the store yet is uploaded, plus two requests. CONFLICT when the name is in use.
   */
  checkpoint(options?: CheckpointOptions): Promise<Checkpoint> {
    return this.guard(() => {
      const request = checkpointRequest(options)
      const { engine } = this.slot
      const take = (signal?: AbortSignal): Promise<Checkpoint> => engine.takeCheckpoint(request, signal).then(publicCheckpoint)
      return hasLimits(options) ? limitedTurn('checkpoint', options, engine, TAKEN_CHECKPOINT, take) : take()
    })
  }

  /**
   * For a clone: rewrites every table that it still borrows from its sources, and lets go of them; resolves when they are
   * not needed any more. Without this call it happens by and by, as compactions come past them. CONFLICT when a
   * checkpoint, a reader or a scan in progress still needs borrowed tables; the message says which.
   */
  detach(options?: CallLimits): Promise<void> {
    return this.waiting('detach', options, 'the rewriting goes on in the background', () => this.slot.engine.detach())
  }

  /** The checkpoints that exist, oldest first. No I/O: the owner knows them all. */
  checkpoints(options?: CallLimits): Promise<Checkpoint[]> {
    return this.waiting('checkpoints', options, 'nothing has changed', async () => this.slot.engine.checkpoints.list().map(publicCheckpoint))
  }

  /** Gives up a checkpoint, by id or name; readers and clones that use it are not disturbed. INVALID when there is none. */
  deleteCheckpoint(idOrName: string, options?: CallLimits): Promise<void> {
    return this.waiting('deleteCheckpoint', options, 'the checkpoint may be gone all the same', () =>
      this.slot.engine.deleteCheckpoint(checkpointReference('deleteCheckpoint', idOrName)),
    )
  }

  /**
   * How two checkpoints differ in files: shared, only in the second, only in the first. Without a second one, the first
   * is compared with what is flushed now.
   */
  diffCheckpoints(from: string, to?: string, options?: CallLimits): Promise<VersionDiff> {
    return this.waiting('diffCheckpoints', options, 'nothing has changed', () => {
      const second = to === undefined ? undefined : checkpointReference('diffCheckpoints', to)
      return this.slot.engine.checkpoints.diff(checkpointReference('diffCheckpoints', from), second)
    })
  }

  /**
   * Goes back to a checkpoint, in place: everything written after it is given up, flushed or not, and so is every write,
   * scan and snapshot that is under way when this is called. The checkpoints stay, newer ones too. Resolves when the
   * database is open at the checkpoint's state; when it rejects with INVALID or CORRUPTION nothing has changed, otherwise
   * the database is closed and opening it shows whether it was restored. At a limit of the call only the wait ends.
   */
  restore(idOrName: string, options?: CallLimits): Promise<void> {
    return this.waiting('restore', options, 'the restore goes on, and calls fail until it has ended', () => {
      const abort = new AbortController()
      const reference = checkpointReference('restore', idOrName)
      const restoring = restoreEngine(this.slot.engine, reference, abort.signal).then(({ engine, report }) => {
        this.slot.engine = engine
        this.#events.emit('restore', report)
      })
      this.#restoring = { ended: restoring.catch(() => {}), abort }
      return restoring
    })
  }

  stats(): DbStats {
    return dbStats(this.slot.engine)
  }

  /** Listens to an event; returns a function that stops listening. */
  on<Name extends EventName>(name: Name, listener: (payload: EngineEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /**
   * Flushes, gives the database back to whoever opens it next, and releases everything. Rejects with UNAVAILABLE when the
   * flush did not succeed in `closeTimeoutMs`; the write-ahead log then keeps what was acknowledged. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#restoring !== undefined) await this.#restoreEnded(this.#restoring)
    await this.slot.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #restoreEnded({ ended, abort }: { ended: Promise<unknown>; abort: AbortController }): Promise<void> {
    const { clock, closeTimeoutMs } = this.slot.engine.settings
    const timer = clock.setTimer(closeTimeoutMs, () => abort.abort())
    await ended
    timer.cancel()
  }
}

const TAKEN_CHECKPOINT = stopWaitingWhile('the checkpoint may be taken all the same: checkpoints() shows it then')
