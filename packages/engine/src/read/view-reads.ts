import { copyRange } from '@moraine/base'
import type { MergeOperators } from '../merge/merge-operators.ts'
import type { TableStore } from '../table/table-store.ts'
import { HeldPieces, PointLookup, PRESENT } from './point-lookup.ts'
import type { ReadView, ViewRegistry } from './read-view.ts'
import { type Entry, ScanCursor, type ScanRequest } from './scan-cursor.ts'

/** What reads need of the engine that they belong to. */
export interface ReadHost {
  readonly views: ViewRegistry
  readonly tables: TableStore
  /** What a read of the present sees. */
  readonly lastSeq: number
  /** The time of the present, in wall-clock milliseconds: what has expired by then is not seen. Never runs backwards. */
  nowMs(): number
  readonly operators: MergeOperators
  /** Throws what new calls are refused with. */
  ensureOpen(): void
  /** Throws when a read of this view that waited must not go on. */
  ensureReadable(view: ReadView): void
  /** The error of a read of this view as it should be told; the same one when there is nothing to add. */
  readFailure?(error: unknown, view: ReadView): unknown
}

/** A moment to read at: a sequence number, and the view that still has it when that is not the current one. */
export interface ReadPoint {
  readonly seq: number
  /** What has expired by this wall-clock millisecond is not seen; absent: what has expired by the time of the read. */
  readonly timeMs?: number | undefined
  readonly view?: ReadView | undefined
}

/** A value and what is known of it. */
export interface FoundValue {
  readonly value: Uint8Array
  /** Sequence number of the newest write that makes it. */
  readonly seq: number
  /** Infinity: never. */
  readonly expiresAtMs: number
}

/** The reads of an engine, with and without I/O, at the present or at a moment that is held. */
export class ViewReads {
  readonly #host: ReadHost
  readonly #lookup: PointLookup
  /** Keys looked up so far. */
  lookups = 0

  constructor(host: ReadHost) {
    this.#host = host
    this.#lookup = new PointLookup(host.tables, { nowMs: () => host.nowMs(), operators: host.operators })
  }

  /** The lookup that the last synchronous read left its answer in. */
  get found(): PointLookup {
    return this.#lookup
  }

  /** A lookup without I/O. The answer stands in `found` until the next call. */
  lookup(key: Uint8Array, keyStart: number, keyEnd: number, at: ReadPoint | undefined): 'found' | 'absent' | 'blocked' {
    const host = this.#host
    this.lookups++
    if (at === undefined) return this.#lookup.run(host.views.current, key, keyStart, keyEnd, host.lastSeq, PRESENT)
    return this.#lookup.run(at.view ?? host.views.current, key, keyStart, keyEnd, at.seq, at.timeMs ?? PRESENT)
  }

  /** Like `lookup`, but fetches what is missing. The key must not change until it resolves. */
  async lookupWaiting(key: Uint8Array, at: ReadPoint | undefined): Promise<FoundValue | undefined> {
    const { views, lastSeq } = this.#host
    const view = views.acquire(at?.view)
    const seq = at?.seq ?? lastSeq
    const timeMs = at?.timeMs ?? PRESENT
    const held = new HeldPieces()
    try {
      for (;;) {
        const state = this.#lookup.run(view, key, 0, key.length, seq, timeMs, held)
        if (state === 'absent') return undefined
        if (state === 'found') {
          const { valueBytes, valueStart, valueEnd, seq: version, expiresAtMs } = this.#lookup
          return { value: copyRange(valueBytes, valueStart, valueEnd), seq: version, expiresAtMs }
        }
        this.#host.ensureReadable(view)
        await this.#lookup.load(held)
      }
    } catch (error) {
      throw this.#host.readFailure?.(error, view) ?? error
    } finally {
      views.release(view)
    }
  }

  /** Starts a scan; close it when done. */
  scan(request: Omit<ScanRequest, 'seq' | 'timeMs'>, at: ReadPoint | undefined): ViewScan {
    const { views, tables, lastSeq, operators } = this.#host
    const view = views.acquire(at?.view)
    const moment = { seq: at?.seq ?? lastSeq, timeMs: at?.timeMs ?? this.#host.nowMs() }
    return new ViewScan(this.#host, view, new ScanCursor(view, tables, operators, { ...request, ...moment }))
  }
}

/** A scan in progress: the cursor, and the view it must give back. */
export class ViewScan {
  readonly #host: ReadHost
  readonly #view: ReadView
  readonly #cursor: ScanCursor
  #closed = false

  constructor(host: ReadHost, view: ReadView, cursor: ScanCursor) {
    this.#host = host
    this.#view = view
    this.#cursor = cursor
  }

  async nextBatch(maxEntries: number, maxBytes: number): Promise<Entry[]> {
    if (this.#closed) return []
    try {
      this.#host.ensureOpen()
      this.#host.ensureReadable(this.#view)
      return await this.#cursor.nextBatch(maxEntries, maxBytes)
    } catch (error) {
      this.close()
      throw this.#host.readFailure?.(error, this.#view) ?? error
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cursor.close()
    this.#host.views.release(this.#view)
  }
}
