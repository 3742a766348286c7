import { abortError, type CallLimits, type Clock, copyRange, hasLimits, limitCall, MoraineError } from '@moraine/base'
import { NEVER } from '../batch/envelope.ts'
import type { Bytes } from '../batch/limits.ts'
import type { Entry } from '../read/scan-cursor.ts'
import type { FoundValue, ReadPoint, ViewReads } from '../read/view-reads.ts'
import type { KnownVersion, VersionSource } from '../write/conditional-write.ts'
import { limitChecks } from './call-options.ts'
import { KeyScratch } from './key-scratch.ts'
import { LimitedScan } from './limited-scan.ts'
import { booleanOption, checkOptions, type OptionChecks } from './option-checks.ts'
import { checkScanOptions, type ScanOptions, scanRange } from './scan-options.ts'
import { type BatchSource, BatchStream, EntryStream } from './scan-stream.ts'
import { Snapshot, type SnapshotOwner } from './snapshot.ts'

/** At a limit a read gives its wait up; what it fetches goes on, for whoever else waits for that. */
export interface ReadOptions extends CallLimits {
  /** Read at this snapshot instead of the present. */
  readonly snapshot?: Snapshot
  /**
   * Only writes that survive the loss of this machine: those in the store, in tables or in an object-store log. Default
   * false: everything this process has written.
   */
  readonly durable?: boolean
}

/** A value, with the version that `ifVersion` compares: the sequence number of the newest write that made it. */
export interface VersionedValue {
  readonly value: Uint8Array
  readonly version: number
  /** When it expires, in milliseconds since the Unix epoch; not there when it never does. */
  readonly expiresAt?: number
}

/** What `getResident` knows: the value, that there is none, or (undefined) that only I/O could tell. */
export type ResidentResult = { readonly value: Uint8Array } | { readonly absent: true } | undefined

/** What reads need of an engine, the writer's or a reader's. */
export interface ReadEngine extends SnapshotOwner {
  readonly reads: ViewReads
  readonly lastSeq: number
  readonly settings: { readonly clock: Clock }
  /** Everything up to this sequence number is in the store. */
  readonly durableSeq: number
  /** Keeps a moment, by default the present, readable until it is released. */
  hold(at?: ReadPoint): { readonly point: ReadPoint; release(): void }
  /** Whether a read that failed may be begun again. */
  recover?(error: unknown): Promise<boolean>
}

const readChecks: OptionChecks<ReadOptions> = { snapshot: () => undefined, durable: booleanOption, ...limitChecks }
const NO_ENTRY: Promise<undefined> = Promise.resolve(undefined)
const ABSENT: ResidentResult = { absent: true }

/** The read calls of a keyspace, of a database or of a reader: checks what it is given, encodes keys, and asks the engine. */
export class Reads implements VersionSource {
  readonly #engine: ReadEngine
  readonly #prefix: Uint8Array
  readonly #key: KeyScratch

  /** @param prefix what the stored keys of the keyspace begin with */
  constructor(engine: ReadEngine, prefix: Uint8Array) {
    this.#engine = engine
    this.#prefix = prefix
    this.#key = new KeyScratch(prefix)
  }

  get(key: Bytes, options: ReadOptions | undefined): Promise<Uint8Array | undefined> {
    const { reads } = this.#engine
    const at = this.#readPoint('get', options)
    this.#key.load(key)
    const state = reads.lookup(this.#key.bytes, 0, this.#key.end, at)
    if (state === 'absent') return NO_ENTRY
    if (state === 'found') return Promise.resolve(this.#foundValue())
    const copy = this.#key.copy()
    const waiting = this.#recovering(options, async () => (await reads.lookupWaiting(copy, at))?.value)
    return hasLimits(options) ? limitCall('get', options, this.#engine.settings.clock, () => waiting) : waiting
  }

  getEntry(key: Bytes, options: ReadOptions | undefined): Promise<VersionedValue | undefined> {
    const { reads } = this.#engine
    const at = this.#readPoint('getEntry', options)
    this.#key.load(key)
    const state = reads.lookup(this.#key.bytes, 0, this.#key.end, at)
    if (state === 'absent') return NO_ENTRY
    if (state === 'found') return Promise.resolve(versionedValue({ value: this.#foundValue(), seq: reads.found.seq, expiresAtMs: reads.found.expiresAtMs }))
    const copy = this.#key.copy()
    const waiting = this.#recovering(options, async () => {
      const found = await reads.lookupWaiting(copy, at)
      return found === undefined ? undefined : versionedValue(found)
    })
    return hasLimits(options) ? limitCall('getEntry', options, this.#engine.settings.clock, () => waiting) : waiting
  }

  residentVersion(stored: Uint8Array): KnownVersion | undefined {
    const { reads } = this.#engine
    const state = reads.lookup(stored, 0, stored.length, undefined)
    if (state === 'blocked') return undefined
    return { version: state === 'found' ? reads.found.seq : undefined }
  }

  async fetchVersion(stored: Uint8Array, signal: AbortSignal | undefined): Promise<number | undefined> {
    const { reads, settings } = this.#engine
    const read = (): Promise<FoundValue | undefined> => reads.lookupWaiting(stored, undefined)
    return (await (signal === undefined ? read() : limitCall('the write', { signal }, settings.clock, read)))?.seq
  }

  getResident(key: Bytes, options: ReadOptions | undefined): ResidentResult {
    const at = this.#readPoint('getResident', options)
    this.#key.load(key)
    const state = this.#engine.reads.lookup(this.#key.bytes, 0, this.#key.end, at)
    if (state === 'absent') return ABSENT
    return state === 'found' ? { value: this.#foundValue() } : undefined
  }

  async getMany(keys: readonly Bytes[], options: ReadOptions | undefined): Promise<(Uint8Array | undefined)[]> {
    if (!Array.isArray(keys)) throw new MoraineError('INVALID', 'getMany takes an array of keys')
    const at = this.#readPoint('getMany', options)
    const reading = this.#recovering(options, async () => {
      // All keys are read at one moment, whatever is written while some of them wait.
      const held = options?.snapshot === undefined ? this.#engine.hold(at) : undefined
      try {
        return await this.#getMany(keys, held?.point ?? at)
      } finally {
        held?.release()
      }
    })
    return await (hasLimits(options) ? limitCall('getMany', options, this.#engine.settings.clock, () => reading) : reading)
  }

  scan(options: ScanOptions): EntryStream {
    return new EntryStream(this.#startScan(options))
  }

  scanBatches(options: ScanOptions): BatchStream {
    return new BatchStream(this.#startScan(options))
  }

  snapshot(): Snapshot {
    this.#engine.ensureOpen()
    const { point, release } = this.#engine.hold()
    return new Snapshot(this.#engine, point, release)
  }

  #readPoint(call: string, options: ReadOptions | undefined): ReadPoint | undefined {
    if (options === undefined) return undefined
    checkOptions(call, options, readChecks)
    if (options.signal?.aborted === true) throw abortError(options.signal)
    return this.#pointOf(options)
  }

  /** Where the options say to read; undefined for the present. To be used on the view of this very moment. */
  #pointOf(options: { readonly snapshot?: Snapshot; readonly durable?: boolean }): ReadPoint | undefined {
    const point = Snapshot.pointFor(options.snapshot, this.#engine)
    if (options.durable !== true) return point
    const { durableSeq } = this.#engine
    return { ...point, seq: Math.min(point?.seq ?? Number.POSITIVE_INFINITY, durableSeq) }
  }

  #foundValue(): Uint8Array {
    const { valueBytes: bytes, valueStart, valueEnd } = this.#engine.reads.found
    return copyRange(bytes, valueStart, valueEnd)
  }

  async #getMany(keys: readonly Bytes[], at: ReadPoint | undefined): Promise<(Uint8Array | undefined)[]> {
    const { reads } = this.#engine
    const values: (Uint8Array | undefined)[] = Array.from({ length: keys.length })
    const waits: Promise<void>[] = []
    for (const [i, key] of keys.entries()) {
      this.#key.load(key)
      const state = reads.lookup(this.#key.bytes, 0, this.#key.end, at)
      if (state === 'found') values[i] = this.#foundValue()
      else if (state === 'blocked') {
        const wait = reads.lookupWaiting(this.#key.copy(), at)
        waits.push(
          wait.then((found) => {
            values[i] = found?.value
          }),
        )
      }
    }
    if (waits.length > 0) await Promise.all(waits)
    return values
  }

  /** Begins a read again, once, when the engine says that this helps. A snapshot's moment cannot be begun again. */
  async #recovering<Result>(options: ReadOptions | undefined, read: () => Promise<Result>): Promise<Result> {
    const engine = this.#engine
    if (engine.recover === undefined || options?.snapshot !== undefined) return await read()
    try {
      return await read()
    } catch (error) {
      if (!(await engine.recover(error))) throw error
      return await read()
    }
  }

  #startScan(options: ScanOptions): BatchSource {
    this.#engine.ensureOpen()
    checkScanOptions(options)
    const { signal } = options
    if (signal?.aborted === true) return { nextBatch: () => Promise.reject(abortError(signal)), close: () => {} }
    const request = {
      range: scanRange(options, this.#prefix),
      prefix: this.#prefix,
      reverse: options.reverse ?? false,
      limit: options.limit ?? Number.POSITIVE_INFINITY,
      signal,
    }
    const engine = this.#engine
    const start = (): BatchSource => engine.reads.scan(request, this.#pointOf(options))
    const recover = engine.recover?.bind(engine)
    const scan = recover === undefined || options.snapshot !== undefined ? start() : new RecoveringScan(start, recover)
    return hasLimits(options) ? new LimitedScan(scan, options, engine.settings.clock) : scan
  }
}

function versionedValue({ value, seq, expiresAtMs }: FoundValue): VersionedValue {
  return expiresAtMs === NEVER ? { value, version: seq } : { value, version: seq, expiresAt: expiresAtMs }
}

/** A scan that may be begun again as long as it has given nothing. */
class RecoveringScan implements BatchSource {
  readonly #start: () => BatchSource
  readonly #recover: (error: unknown) => Promise<boolean>
  #scan: BatchSource
  #begun = false
  #closed = false

  constructor(start: () => BatchSource, recover: (error: unknown) => Promise<boolean>) {
    this.#start = start
    this.#recover = recover
    this.#scan = start()
  }

  async nextBatch(maxEntries: number, maxBytes: number): Promise<Entry[]> {
    if (this.#begun) return await this.#scan.nextBatch(maxEntries, maxBytes)
    let batch: Entry[]
    try {
      batch = await this.#scan.nextBatch(maxEntries, maxBytes)
    } catch (error) {
      if (!(await this.#recover(error)) || this.#closed) throw error
      this.#scan = this.#start()
      batch = await this.#scan.nextBatch(maxEntries, maxBytes)
    }
    this.#begun = true
    return batch
  }

  close(): void {
    this.#closed = true
    this.#scan.close()
  }
}
