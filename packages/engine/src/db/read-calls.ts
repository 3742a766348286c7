import { type CallLimits, MoraineError } from '@moraine/base'
import type { Bytes } from '../batch/limits.ts'
import { keyspacePrefix } from '../key/keyspace.ts'
import { checkLimits, waitUnderLimits } from './call-options.ts'
import type { EngineSlot } from './engine-slot.ts'
import { type ReadEngine, type ReadOptions, Reads, type ResidentResult, type VersionedValue } from './reads.ts'
import type { ScanOptions } from './scan-options.ts'
import type { BatchStream, EntryStream } from './scan-stream.ts'
import type { Snapshot } from './snapshot.ts'

/** The reads of one keyspace: of a database, of a reader, and of the handles that they give for their named keyspaces. */
export abstract class ReadCalls<Engine extends ReadEngine> {
  /** Where calls go. */
  protected readonly slot: EngineSlot<Engine>
  /** What the stored keys of the keyspace begin with. */
  protected readonly prefix: Uint8Array
  #reads: Reads
  #readsOf: Engine

  protected constructor(slot: EngineSlot<Engine>, keyspace: string) {
    this.slot = slot
    this.prefix = keyspacePrefix(keyspace)
    this.#readsOf = slot.engine
    this.#reads = new Reads(slot.engine, this.prefix)
  }

  /** The value of a key, or undefined. The bytes are the caller's own copy. */
  get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
    return this.guard(() => this.reads().get(key, options))
  }

  /** The value of a key with its version and its time of expiry; or undefined. */
  getEntry(key: Bytes, options?: ReadOptions): Promise<VersionedValue | undefined> {
    return this.guard(() => this.reads().getEntry(key, options))
  }

  /** Like `get`, without any I/O and without a promise. */
  getResident(key: Bytes, options?: ReadOptions): ResidentResult {
    this.slot.engine.ensureOpen()
    return this.reads().getResident(key, options)
  }

  /** The values of many keys, in their order; those that need I/O are fetched together. */
  getMany(keys: readonly Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.guard(() => this.reads().getMany(keys, options))
  }

  /** Entries in key order: `for await (const [key, value] of db.scan({ prefix: 'user/' }))`. */
  scan(options: ScanOptions = {}): EntryStream {
    return this.reads().scan(options)
  }

  /** Like `scan`, many entries a step: several times faster for long scans. */
  scanBatches(options: ScanOptions = {}): BatchStream {
    return this.reads().scanBatches(options)
  }

  /** A view of the present, of all keyspaces, for later reads; close it when done. */
  snapshot(): Snapshot {
    return this.reads().snapshot()
  }

  protected reads(): Reads {
    const { engine } = this.slot
    if (engine !== this.#readsOf) {
      this.#readsOf = engine
      this.#reads = new Reads(engine, this.prefix)
    }
    return this.#reads
  }

  /** A call that may be waited for under limits; `meanwhile` says what becomes of its work when the wait ends early. */
  protected waiting<Result>(
    call: string,
    options: CallLimits | undefined,
    meanwhile: string,
    work: (signal?: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return this.guard(() => {
      checkLimits(call, options)
      return waitUnderLimits(call, options, this.slot.engine.settings.clock, meanwhile, work)
    })
  }

  /** Runs a call: errors thrown at once become rejections, so that a caller has one way to handle them. */
  protected guard<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      this.slot.engine.ensureOpen()
      return call()
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new MoraineError('INTERNAL', String(error)))
    }
  }
}
