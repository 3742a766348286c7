import { MoraineError, throwIfAborted } from '@moraine/base'
import { type Bytes, valueBytes } from '../batch/limits.ts'
import { WriteBatch } from '../batch/write-batch.ts'
import type { VersionDiff } from '../checkpoint/diff-versions.ts'
import type { Engine } from '../recovery/engine.ts'
import type { EngineEvents } from '../recovery/engine-event.ts'
import { restoreEngine } from '../recovery/restore-engine.ts'
import type { Durability } from '../write/write-path.ts'
import { type Checkpoint, type CheckpointOptions, checkpointReference, checkpointRequest, publicCheckpoint } from './checkpoint-options.ts'
import { type DbStats, dbStats } from './db-stats.ts'
import type { EventListeners, EventName } from './event-listeners.ts'
import { KeyScratch } from './key-scratch.ts'
import { checkOptions, oneOfOption, type OptionChecks, signalOption } from './option-checks.ts'
import { type ReadOptions, Reads, type ResidentResult } from './reads.ts'
import { plainRange, type ScanOptions } from './scan-options.ts'
import type { BatchStream, EntryStream } from './scan-stream.ts'
import type { Snapshot } from './snapshot.ts'

export interface WriteOptions {
  /**
   * What the returned promise waits for: `memory` nothing, `log` the write-ahead log (the default; with `wal: 'none'`
   * that is memory), `store` the object store. All writes enter the log in order whatever they wait for.
   */
  readonly durability?: Durability
  /** Gives the write up while it is held back. A write that has been taken in cannot be recalled. */
  readonly signal?: AbortSignal
}

const writeChecks: OptionChecks<WriteOptions> = {
  durability: oneOfOption('memory', 'log', 'store'),
  signal: signalOption,
}

/**
 * An open database. Keys and values are bytes; text is stored as UTF-8. Every method that fails rejects with a
 * MoraineError; INVALID always comes before anything was written.
 */
export class Db {
  #engine: Engine
  #restoring: { readonly ended: Promise<unknown>; readonly abort: AbortController } | undefined
  #reads: Reads
  readonly #events: EventListeners<EngineEvents>
  readonly #key = new KeyScratch()

  /** Made by `open`. */
  constructor(engine: Engine, events: EventListeners<EngineEvents>) {
    this.#engine = engine
    this.#reads = new Reads(engine)
    this.#events = events
  }

  /** Stores a value under a key, replacing the one before. Resolves when the write is durable as asked for. */
  put(key: Bytes, value: Bytes, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      checkWriteOptions('put', options)
      this.#key.load(key)
      const bytes = valueBytes(value)
      return this.#engine.writes.put(this.#key.bytes, 0, this.#key.end, bytes, options?.durability, options?.signal)
    })
  }

  /** Removes a key; removing what is not there is fine. */
  delete(key: Bytes, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      checkWriteOptions('delete', options)
      this.#key.load(key)
      return this.#engine.writes.delete(this.#key.bytes, 0, this.#key.end, options?.durability, options?.signal)
    })
  }

  /** Applies a batch: all of it, at once. The batch may be changed or used again as soon as this returns. */
  write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      checkWriteOptions('write', options)
      if (!(batch instanceof WriteBatch)) throw new MoraineError('INVALID', 'write takes a WriteBatch')
      if (batch.size === 0) return Promise.resolve()
      return this.#engine.writes.write(batch.encoded(), batch.size, options?.durability, options?.signal)
    })
  }

  /** The value of a key, or undefined. The bytes are the caller's own copy. */
  get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#guard(() => this.#reads.get(key, options))
  }

  /** Like `get`, without any I/O and without a promise. */
  getResident(key: Bytes, options?: ReadOptions): ResidentResult {
    this.#engine.ensureOpen()
    return this.#reads.getResident(key, options)
  }

  /** The values of many keys, in their order; those that need I/O are fetched together. */
  getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#guard(() => this.#reads.getMany(keys, options))
  }

  /** Entries in key order: `for await (const [key, value] of db.scan({ prefix: 'user/' }))`. */
  scan(options: ScanOptions = {}): EntryStream {
    return this.#reads.scan(options)
  }

  /** Like `scan`, many entries a step: several times faster for long scans. */
  scanBatches(options: ScanOptions = {}): BatchStream {
    return this.#reads.scanBatches(options)
  }

  /** A view of the present for later reads; close it when done. */
  snapshot(): Snapshot {
    return this.#reads.snapshot()
  }

  /** Writes everything in memory to the store; resolves when it is durable there. */
  flush(): Promise<void> {
    return this.#guard(() => this.#engine.flush())
  }

  /** Compacts a range (default everything) down to one sorted run, without waiting for the background to see a need. */
  compact(range?: { gte?: Bytes; lt?: Bytes }): Promise<void> {
    return this.#guard(async () => {
      const keys = plainRange('compact', range)
      await this.#engine.flush()
      await this.#engine.compactRange(keys)
    })
  }

  /**
   * Makes the present state durable under a name of its own, to be opened, cloned or restored later. What was written
   * before this call is part of it, what is written after the call is not; writes go on meanwhile. Only what is not in
   * the store yet is uploaded, plus two requests. CONFLICT when the name is in use.
   */
  checkpoint(options?: CheckpointOptions): Promise<Checkpoint> {
    return this.#guard(() => this.#engine.takeCheckpoint(checkpointRequest(options)).then(publicCheckpoint))
  }

  /**
   * For a clone: rewrites every table that it still borrows from its sources, and lets go of them; resolves when they are
   * not needed any more. Without this call it happens by and by, as compactions come past them. CONFLICT when a
   * checkpoint, a reader or a scan in progress still needs borrowed tables; the message says which.
   */
  detach(): Promise<void> {
    return this.#guard(() => this.#engine.detach())
  }

  /** The checkpoints that exist, oldest first. No I/O: the owner knows them all. */
  async checkpoints(): Promise<Checkpoint[]> {
    this.#engine.ensureOpen()
    return this.#engine.checkpoints.list().map(publicCheckpoint)
  }

  /** Gives up a checkpoint, by id or name; readers and clones that use it are not disturbed. INVALID when there is none. */
  deleteCheckpoint(idOrName: string): Promise<void> {
    return this.#guard(() => this.#engine.deleteCheckpoint(checkpointReference('deleteCheckpoint', idOrName)))
  }

  /**
   * How two checkpoints differ in files: shared, only in the second, only in the first. Without a second one, the first
   * is compared with what is flushed now.
   */
  diffCheckpoints(from: string, to?: string): Promise<VersionDiff> {
    return this.#guard(() => {
      const second = to === undefined ? undefined : checkpointReference('diffCheckpoints', to)
      return this.#engine.checkpoints.diff(checkpointReference('diffCheckpoints', from), second)
    })
  }

  /**
   * Goes back to a checkpoint, in place: everything written after it is given up, flushed or not, and so is every write,
   * scan and snapshot that is under way when this is called. The checkpoints stay, newer ones too. Resolves when the
   * database is open at the checkpoint's state; when it rejects with INVALID or CORRUPTION nothing has changed, otherwise
   * the database is closed and opening it shows whether it was restored.
   */
  restore(idOrName: string): Promise<void> {
    return this.#guard(() => {
      const abort = new AbortController()
      const reference = checkpointReference('restore', idOrName)
      const restoring = restoreEngine(this.#engine, reference, abort.signal).then(({ engine, report }) => {
        this.#engine = engine
        this.#reads = new Reads(engine)
        this.#events.emit('restore', report)
      })
      this.#restoring = { ended: restoring.catch(() => {}), abort }
      return restoring
    })
  }

  stats(): DbStats {
    return dbStats(this.#engine)
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
    await this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Runs a call: errors thrown at once become rejections, so that a caller has one way to handle them. */
  #guard<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      this.#engine.ensureOpen()
      return call()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #restoreEnded({ ended, abort }: { ended: Promise<unknown>; abort: AbortController }): Promise<void> {
    const { clock, closeTimeoutMs } = this.#engine.settings
    const timer = clock.setTimer(closeTimeoutMs, () => abort.abort())
    await ended
    timer.cancel()
  }
}

function checkWriteOptions(call: string, options: WriteOptions | undefined): void {
  if (options === undefined) return
  checkOptions(call, options, writeChecks)
  throwIfAborted(options.signal)
}
