import { type Clock, MoraineError, type Random, randomHex, Deferred, type Timer } from '@moraine/base'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import type { Epoch } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import type { WalEpoch } from '../manifest/manifest.ts'
import { encodeStoreWalSegment, STORE_WAL_HEADER_BYTES } from './store-wal-segment.ts'
import { frameWalRecord } from './wal-record.ts'

export interface StoreWalSettings {
  /** At most one segment is begun in this time while it is not full: what comes meanwhile shares the next one. */
  readonly flushIntervalMs: number
  /** A segment of this size is full. */
  readonly flushSizeBytes: number
  /** Segments that may be on their way, or wait for the acknowledgement of one before them. */
  readonly maxInFlight: number
}

export interface StoreWalWriterOptions extends StoreWalSettings {
  readonly store: ObjectStore
  readonly databaseId: string
  readonly epoch: Epoch
  /** Sequence of the first write to come. */
  readonly firstSeq: number
  readonly clock: Clock
  readonly random: Random
}

export interface StoreWalWriterStats {
  /** Acknowledged segments that hold unflushed writes. */
  readonly segments: number
  readonly sizeBytes: number
  /** Segments and bytes acknowledged since the start. */
  readonly appendedSegments: number
  readonly appendedBytes: number
  /** Writes acknowledged since the start; by `appendedSegments`, how many share a PUT. */
  readonly appendedWrites: number
  readonly inFlight: number
  /** Bytes that wait for a PUT to begin. */
  readonly waitingBytes: number
  /** Flushed segments that are not deleted yet. */
  readonly flushedSegments: number
}

/** Flushed segments are deleted so many at a time: one request for all of them. */
const SEGMENTS_PER_DELETE = 64

/** Writes that go out in one PUT. */
interface Segment {
  readonly firstSeq: number
  lastSeq: number
  readonly pieces: Uint8Array[]
  recordCount: number
  sizeBytes: number
  /** From the start of its PUT on. */
  n: number
  settled: boolean
  readonly acknowledged: Deferred<void>
}

/**
 * Appends groups of writes to the log in the store, as the owner of one epoch.
 *
 * Rules, and why:
 *   1. Numbers are given in order when a PUT begins, without gaps. Several PUTs may be under way, but a segment is
 *      acknowledged only after all before it: the log that a new owner finds ends at its first absent number.
 *   2. A PUT whose outcome is unclear is repeated with identical bytes until it is clear. Anything else would leave a
 *      gap, or a write that is reported as failed and comes back.
 *   3. A name that another's object holds is a fence: a new owner ended this log there before it read it. From then on
 *      nothing is acknowledged.
 *   4. A segment is deleted only when a committed manifest begins the log behind it, and only once its PUT is settled:
 *      a copy still on its way would bring it back.
 *   5. What is flushed before its PUT begins needs none: it is acknowledged by the flush, and the sequence numbers of the
 *      log skip it. So the log never holds more in memory than the memtables do, however slow its PUTs are. A reader of
 *      the log accepts a gap only at or below what its manifest has flushed.
 *
 * Nothing is requested, and no timer set, while there is nothing to write.
 */
export class StoreWalWriter {
  readonly #options: StoreWalWriterOptions
  readonly #token: string
  readonly #abort = new AbortController()
  /** Not begun; the last one still takes writes. */
  readonly #waiting: Segment[] = []
  /** Begun, by number, until acknowledged. */
  readonly #inFlight: Segment[] = []
  /** Acknowledged, with unflushed writes. */
  #live: { readonly n: number; readonly lastSeq: number; readonly sizeBytes: number }[] = []
  #flushed: string[] = []
  #nextNumber = 1
  #nextSeq: number
  #settled = 0
  #storedSeq: number
  #begunMs = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #turning = false
  #broken: unknown
  #appended = { segments: 0, bytes: 0, writes: 0 }

  constructor(options: StoreWalWriterOptions) {
    this.#options = options
    this.#nextSeq = options.firstSeq
    this.#storedSeq = options.firstSeq - 1
    this.#token = randomHex(options.random, 16)
  }

  /** Sequence of the last acknowledged write; before there is one, the last that was there at the start. */
  get storedSeq(): number {
    return this.#storedSeq
  }

  /**
   * Appends one group; resolves when its segment and all before it are in the store. The pieces must not change until
   * then. FENCED when another owner has ended this log; after any failure every append fails the same way.
   */
  append(firstSeq: number, count: number, payload: readonly Uint8Array[]): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (firstSeq !== this.#nextSeq || count < 1) {
      const message = `the log expects sequence ${this.#nextSeq} next, got ${count} writes from ${firstSeq}`
      return Promise.reject(new MoraineError('INTERNAL', message))
    }
    let pieces: Uint8Array[]
    try {
      pieces = frameWalRecord(firstSeq, count, payload)
    } catch (error) {
      return Promise.reject(error)
    }
    this.#nextSeq += count
    const segment = this.#gathering(firstSeq)
    segment.lastSeq = this.#nextSeq - 1
    segment.recordCount++
    for (const piece of pieces) {
      segment.pieces.push(piece)
      segment.sizeBytes += piece.length
    }
    this.#schedule()
    return segment.acknowledged.promise
  }

  /** Where the log begins for a manifest that has flushed everything up to `flushedSeq`. */
  position(flushedSeq: number): WalEpoch {
    const { epoch } = this.#options
    for (const { n, lastSeq } of this.#live) if (lastSeq > flushedSeq) return { epoch, firstSegment: n }
    for (const { n, lastSeq } of this.#inFlight) if (lastSeq > flushedSeq) return { epoch, firstSegment: n }
    return { epoch, firstSegment: this.#nextNumber }
  }

  /**
   * A manifest that begins the log at `position(flushedSeq)` is committed: segments before it may go. Deletes them when
   * there are many, or `all`. Rejects when the deletion failed.
   */
  async release(flushedSeq: number, options: { all?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    this.#skipFlushed(flushedSeq)
    const kept = this.#live.findIndex(({ lastSeq }) => lastSeq > flushedSeq)
    const flushed = kept < 0 ? this.#live.splice(0) : this.#live.splice(0, kept)
    for (const { n } of flushed) this.#flushed.push(walName(this.#options.epoch, n))
    if (this.#flushed.length === 0) return
    if (options.all !== true && this.#flushed.length < SEGMENTS_PER_DELETE) return
    const names = this.#flushed.splice(0)
    await this.#options.store.deleteMany(names, { signal: options.signal ?? this.#abort.signal })
  }

  /** Ends what is under way: everything unacknowledged fails with `error`. */
  abandon(error: unknown): void {
    this.#break(error)
  }

  stats(): StoreWalWriterStats {
    const sum = (sizes: readonly { readonly sizeBytes: number }[]): number =>
      sizes.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
    return {
      segments: this.#live.length,
      sizeBytes: sum(this.#live),
      appendedSegments: this.#appended.segments,
      appendedBytes: this.#appended.bytes,
      appendedWrites: this.#appended.writes,
      inFlight: this.#inFlight.length,
      waitingBytes: sum(this.#waiting),
      flushedSegments: this.#flushed.length,
    }
  }

  #skipFlushed(flushedSeq: number): void {
    for (;;) {
      const segment = this.#waiting[0]
      if (segment === undefined || segment.lastSeq > flushedSeq) return
      this.#waiting.shift()
      segment.acknowledged.resolve()
    }
  }

  /** The segment that takes the next write. */
  #gathering(firstSeq: number): Segment {
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.sizeBytes < this.#options.flushSizeBytes) return last
    const segment: Segment = {
      firstSeq,
      lastSeq: firstSeq,
      pieces: [],
      recordCount: 0,
      sizeBytes: STORE_WAL_HEADER_BYTES,
      n: 0,
      settled: false,
      acknowledged: new Deferred<void>(),
    }
    segment.acknowledged.promise.catch(() => {})
    this.#waiting.push(segment)
    return segment
  }

  /** Begins what may begin now, and sees to it that the rest is looked at again. */
  #schedule(): void {
    const { maxInFlight, flushSizeBytes, flushIntervalMs, clock } = this.#options
    for (;;) {
      const segment = this.#waiting[0]
      if (segment === undefined || this.#inFlight.length >= maxInFlight || this.#broken !== undefined) return
      if (segment.sizeBytes < flushSizeBytes) break
      this.#begin(segment)
    }
    if (this.#turning || this.#timer !== undefined) return
    const waitMs = this.#begunMs + flushIntervalMs - clock.monotonicMs()
    if (waitMs > 0) {
      this.#timer = clock.setTimer(waitMs, () => {
        this.#timer = undefined
        this.#beginGathered()
      })
      return
    }
    // The rest of this turn of the event loop may bring more writes, typically those of everyone just acknowledged.
    this.#turning = true
    void clock.yieldNow().then(() => {
      this.#turning = false
      this.#beginGathered()
    })
  }

  #beginGathered(): void {
    const segment = this.#waiting[0]
    if (segment === undefined || this.#inFlight.length >= this.#options.maxInFlight || this.#broken !== undefined) return
    this.#begin(segment)
    this.#schedule()
  }

  #begin(segment: Segment): void {
    const { databaseId, epoch, clock } = this.#options
    this.#waiting.shift()
    this.#inFlight.push(segment)
    this.#begunMs = clock.monotonicMs()
    segment.n = this.#nextNumber++
    const { n, firstSeq, recordCount } = segment
    const header = { databaseId, epoch, n, token: this.#token, settled: this.#settled, firstSeq, recordCount }
    const bytes = encodeStoreWalSegment(header, segment.pieces)
    segment.pieces.length = 0
    void this.#put(segment, bytes)
  }

  async #put(segment: Segment, bytes: Uint8Array): Promise<void> {
    const { store, epoch, clock, random } = this.#options
    const name = walName(epoch, segment.n)
    try {
      const outcome = await createExactly(store, name, bytes, { clock, random, signal: this.#abort.signal })
      if (outcome === 'exists') throw this.#fenced(name)
    } catch (error) {
      this.#break(error)
      return
    }
    if (this.#broken !== undefined) return
    segment.settled = true
    this.#acknowledge()
    this.#schedule()
  }

  /** Acknowledges, in order, what has nothing unsettled before it. */
  #acknowledge(): void {
    for (;;) {
      const segment = this.#inFlight[0]
      if (segment?.settled !== true) return
      this.#inFlight.shift()
      const { n, firstSeq, lastSeq, sizeBytes } = segment
      this.#settled = n
      this.#storedSeq = lastSeq
      this.#live.push({ n, lastSeq, sizeBytes })
      this.#appended.segments++
      this.#appended.bytes += sizeBytes
      this.#appended.writes += lastSeq - firstSeq + 1
      segment.acknowledged.resolve()
    }
  }

  #break(error: unknown): void {
    if (this.#broken !== undefined) return
    this.#broken = error
    this.#timer?.cancel()
    this.#timer = undefined
    this.#abort.abort(error)
    for (const segment of [...this.#inFlight.splice(0), ...this.#waiting.splice(0)]) segment.acknowledged.reject(error)
  }

  #fenced(name: string): MoraineError {
    const { epoch } = this.#options
    const message = `another process has taken over this database: it ended the log of epoch ${epoch} at ${name}; this handle will not write again`
    return new MoraineError('FENCED', message, { detail: { epoch, object: name } })
  }
}
