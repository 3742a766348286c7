import { MoraineError } from '@moraine/base'
import type { Bytes } from '../batch/limits.ts'
import type { ReaderEngine } from '../recovery/reader-engine.ts'
import type { ReaderEvents } from '../recovery/reader-event.ts'
import { type Checkpoint, publicCheckpoint } from './checkpoint-options.ts'
import type { EventListeners } from './event-listeners.ts'
import { type ReaderStats, readerStats } from './reader-stats.ts'
import { type ReadOptions, Reads, type ResidentResult } from './reads.ts'
import type { ScanOptions } from './scan-options.ts'
import type { BatchStream, EntryStream } from './scan-stream.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * A database open for reading, at a checkpoint or following its writer. The calls are those of `Db`, and answer the same.
 * UNAVAILABLE from a read means that the lease has lapsed, or that without a lease a file was collected: the message says
 * what to do.
 */
export class DbReader {
  readonly #engine: ReaderEngine
  readonly #events: EventListeners<ReaderEvents>
  readonly #reads: Reads

  /** Made by `openReader`. */
  constructor(engine: ReaderEngine, events: EventListeners<ReaderEvents>) {
    this.#engine = engine
    this.#events = events
    this.#reads = new Reads(engine)
  }

  /** The checkpoint being read; undefined for a reader that follows. */
  get checkpoint(): Checkpoint | undefined {
    const { checkpoint } = this.#engine
    return checkpoint === undefined ? undefined : publicCheckpoint(checkpoint)
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

  /** Entries in key order: `for await (const [key, value] of reader.scan({ prefix: 'user/' }))`. */
  scan(options: ScanOptions = {}): EntryStream {
    return this.#reads.scan(options)
  }

  /** Like `scan`, many entries a step: several times faster for long scans. */
  scanBatches(options: ScanOptions = {}): BatchStream {
    return this.#reads.scanBatches(options)
  }

  /** A view of the present that later refreshes do not move; close it when done, because it keeps files pinned. */
  snapshot(): Snapshot {
    return this.#reads.snapshot()
  }

  /**
   * Moves to what the writer has stored by now: the newest manifest, and the end of the log when that is in the store. True
   * when there was anything new. After the lease has lapsed this begins anew, also at a checkpoint.
   */
  refresh(): Promise<boolean> {
    return this.#guard(() => this.#engine.refresh())
  }

  stats(): ReaderStats {
    return readerStats(this.#engine)
  }

  /** Listens to an event; returns a function that stops listening. */
  on<Name extends keyof ReaderEvents>(name: Name, listener: (payload: ReaderEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Gives the pins up and releases everything. Idempotent. */
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
      return Promise.reject(error instanceof Error ? error : new MoraineError('INTERNAL', String(error)))
    }
  }
}
