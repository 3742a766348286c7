import { abortError, copyRange, MoraineError } from '@moraine/base'
import { type Bytes, valueBytes } from '../batch/limits.ts'
import { WriteBatch } from '../batch/write-batch.ts'
import type { VersionDiff } from '../checkpoint/diff-versions.ts'
import type { Entry } from '../read/scan-cursor.ts'
import type { Engine, EngineScan } from '../recovery/engine.ts'
import type { EngineEvents } from '../recovery/engine-event.ts'
import type { Durability } from '../write/write-path.ts'
import { type Checkpoint, type CheckpointOptions, checkpointReference, checkpointRequest, publicCheckpoint } from './checkpoint-options.ts'
import { type DbStats, dbStats } from './db-stats.ts'
import type { EventListeners, EventName } from './event-listeners.ts'
import { KeyScratch } from './key-scratch.ts'
import { booleanOption, checkOptions, oneOfOption, type OptionChecks, signalOption } from './option-checks.ts'
import { checkScanOptions, plainRange, type ScanOptions, scanRange } from './scan-options.ts'
import { EntryStream, scanBatches } from './scan-stream.ts'
import { Snapshot } from './snapshot.ts'

export interface WriteOptions {
  /**
   * What the returned promise waits for: `memory` nothing, `log` the write-ahead log (the default; with `wal: 'none'`
   * that is memory), `store` the object store. All writes enter the log in order whatever they wait for.
   */
  readonly durability?: Durability
  /** Gives the write up while it is held back. A write that has been taken in cannot be recalled. */
  readonly signal?: AbortSignal
}

export interface ReadOptions {
  /** Read at this snapshot instead of the present. */
  readonly snapshot?: Snapshot
  /**
   * See only writes that survive the loss of this machine: what is acknowledged in a log in the store, with any other
   * log what is flushed. `stats().durableSequence` says how far that is.
   */
  readonly durable?: boolean
  readonly signal?: AbortSignal
}

/** What `getResident` knows: the value, that there is none, or (undefined) that only I/O could tell. */
export type ResidentResult = { readonly value: Uint8Array } | { readonly absent: true } | undefined

const writeChecks: OptionChecks<WriteOptions> = {
  durability: oneOfOption('memory', 'log', 'store'),
  signal: signalOption,
}
const readChecks: OptionChecks<ReadOptions> = {
  snapshot: () => undefined,
  durable: booleanOption,
  signal: signalOption,
}
const NO_ENTRY: Promise<undefined> = Promise.resolve(undefined)
const ABSENT: ResidentResult = { absent: true }

/**
 * An open database. Keys and values are bytes; text is stored as UTF-8. Every method that fails rejects with a
 * MoraineError; INVALID always comes before anything was written.
 */
export class Db {
  readonly #engine: Engine
  readonly #events: EventListeners
  readonly #key = new KeyScratch()

  /** Made by `open`. */
  constructor(engine: Engine, events: EventListeners) {
    this.#engine = engine
    this.#events = events
  }

  /** Stores a value under a key, replacing the one before. Resolves when the write is durable as asked for. */
  put(key: Bytes, value: Bytes, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('put', options, writeChecks)
      this.#key.load(key)
      const bytes = valueBytes(value)
      return this.#engine.writes.put(this.#key.bytes, 0, this.#key.end, bytes, options?.durability, options?.signal)
    })
  }

  /** Removes a key; removing what is not there is fine. */
  delete(key: Bytes, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('delete', options, writeChecks)
      this.#key.load(key)
      return this.#engine.writes.delete(this.#key.bytes, 0, this.#key.end, options?.durability, options?.signal)
    })
  }

  /** Applies a batch: all of it, at once. The batch may be changed or used again as soon as this returns. */
  write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('write', options, writeChecks)
      if (!(batch instanceof WriteBatch)) throw new MoraineError('INVALID', 'write takes a WriteBatch')
      if (batch.size === 0) return Promise.resolve()
      return this.#engine.writes.write(batch.encoded(), batch.size, options?.durability, options?.signal)
    })
  }

  /** The value of a key, or undefined. The bytes are the caller's own copy. */
  get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#guard(() => {
      const seq = this.#readSequence('get', options)
      this.#key.load(key)
      const state = this.#engine.lookup(this.#key.bytes, 0, this.#key.end, seq)
      if (state === 'absent') return NO_ENTRY
      if (state === 'found') return Promise.resolve(this.#foundValue())
      const waiting = this.#engine.lookupWaiting(this.#key.copy(), seq).then((found) => found?.value)
      return options?.signal === undefined ? waiting : abortable(waiting, options.signal)
    })
  }

  /** Like `get`, without any I/O and without a promise. */
  getResident(key: Bytes, options?: ReadOptions): ResidentResult {
    this.#engine.ensureOpen()
    const seq = this.#readSequence('getResident', options)
    this.#key.load(key)
    const state = this.#engine.lookup(this.#key.bytes, 0, this.#key.end, seq)
    if (state === 'absent') return ABSENT
    return state === 'found' ? { value: this.#foundValue() } : undefined
  }

  /** The values of many keys, in their order; those that need I/O are fetched together. */
  getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#guard(async () => {
      if (!Array.isArray(keys)) throw new MoraineError('INVALID', 'getMany takes an array of keys')
      // All keys are read at one moment, whatever is written while some of them wait.
      const seq = this.#readSequence('getMany', options) ?? this.#engine.writes.lastSeq
      const held = options?.snapshot === undefined ? this.#hold(seq) : undefined
      try {
        return await this.#getMany(keys, seq, options)
      } finally {
        held?.close()
      }
    })
  }

  /** Entries in key order: `for await (const [key, value] of db.scan({ prefix: 'user/' }))`. */
  scan(options: ScanOptions = {}): EntryStream {
    return new EntryStream(this.#startScan(options))
  }

  /** Like `scan`, many entries a step: several times faster for long scans. */
  scanBatches(options: ScanOptions = {}): AsyncGenerator<Entry[], void, undefined> {
    return scanBatches(this.#startScan(options))
  }

  /** A view of the present for later reads; close it when done. */
  snapshot(): Snapshot {
    this.#engine.ensureOpen()
    return this.#hold(this.#engine.writes.lastSeq)
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
    return this.#guard(() => this.#engine.checkpoints.take(checkpointRequest(options)).then(publicCheckpoint))
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
  close(): Promise<void> {
    return this.#engine.close()
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

  #readSequence(call: string, options: ReadOptions | undefined): number | undefined {
    if (options === undefined) return undefined
    checkOptions(call, options, readChecks)
    if (options.signal?.aborted === true) throw abortError(options.signal)
    return this.#sequenceOf(options)
  }

  /** Where the options say to read; undefined for the present. To be used on the view of this very moment. */
  #sequenceOf(options: { readonly snapshot?: Snapshot; readonly durable?: boolean }): number | undefined {
    const seq = Snapshot.sequenceFor(options.snapshot, this)
    return options.durable === true ? Math.min(seq ?? Number.POSITIVE_INFINITY, this.#engine.durableSeq) : seq
  }

  #hold(seq: number): Snapshot {
    const { snapshots } = this.#engine
    snapshots.add(seq)
    return new Snapshot(this, seq, () => snapshots.remove(seq))
  }

  #foundValue(): Uint8Array {
    const { valueBytes: bytes, valueStart, valueEnd } = this.#engine.found
    return copyRange(bytes, valueStart, valueEnd)
  }

  async #getMany(keys: readonly Bytes[], seq: number, options: ReadOptions | undefined): Promise<(Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = Array.from({ length: keys.length })
    const waits: Promise<void>[] = []
    for (const [i, key] of keys.entries()) {
      this.#key.load(key)
      const state = this.#engine.lookup(this.#key.bytes, 0, this.#key.end, seq)
      if (state === 'found') values[i] = this.#foundValue()
      else if (state === 'blocked') {
        const wait = this.#engine.lookupWaiting(this.#key.copy(), seq)
        waits.push(
          wait.then((found) => {
            values[i] = found?.value
          }),
        )
      }
    }
    if (waits.length > 0) {
      const all = Promise.all(waits)
      await (options?.signal === undefined ? all : abortable(all, options.signal))
    }
    return values
  }

  #startScan(options: ScanOptions): EngineScan {
    this.#engine.ensureOpen()
    checkScanOptions(options)
    return this.#engine.scan({
      range: scanRange(options),
      reverse: options.reverse ?? false,
      limit: options.limit ?? Number.POSITIVE_INFINITY,
      seq: this.#sequenceOf(options),
      signal: options.signal,
    })
  }
}

/** Gives the caller's wait up when the signal fires; the read itself is shared and goes on. */
function abortable<Result>(wait: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    wait.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
