import type { Entry } from '../read/scan-cursor.ts'

const FIRST_BATCH_ENTRIES = 16
const BATCH_ENTRIES = 1024
const BATCH_BYTES = 256 * 1024

/** Where a scan's entries come from. */
export interface BatchSource {
  /** Further entries; an empty batch means the scan is over. */
  nextBatch(maxEntries: number, maxBytes: number): Promise<Entry[]>
  close(): void
}

/**
 * `db.scanBatches`: arrays of entries, each ready at once; never an empty one. Written by hand because a generator that is
 * given back before its first step never runs its `finally`, and would hold its view of the database for ever.
 */
export class BatchStream implements AsyncIterableIterator<Entry[], undefined, undefined> {
  readonly #scan: BatchSource
  // Short scans should not pay for a long one's batch.
  #entries = FIRST_BATCH_ENTRIES
  #last: Promise<unknown> = Promise.resolve()

  constructor(scan: BatchSource) {
    this.#scan = scan
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Calls that overlap wait for one another, so that batches come in order. */
  next(): Promise<IteratorResult<Entry[], undefined>> {
    const step = this.#last.then(() => this.#next())
    this.#last = step.catch(() => {})
    return step
  }

  async return(): Promise<IteratorResult<Entry[], undefined>> {
    this.#scan.close()
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async #next(): Promise<IteratorResult<Entry[], undefined>> {
    const batch = await this.#scan.nextBatch(this.#entries, BATCH_BYTES)
    this.#entries = Math.min(this.#entries * 4, BATCH_ENTRIES)
    if (batch.length > 0) return { done: false, value: batch }
    this.#scan.close()
    return { done: true, value: undefined }
  }
}

/**
 * `db.scan`: entry by entry. Written by hand rather than as a generator: it hands out the entries of a batch with one
 * promise each and nothing more.
 */
export class EntryStream implements AsyncIterableIterator<Entry, undefined, undefined> {
  readonly #scan: BatchSource
  #batch: Entry[] = []
  #at = 0
  #entries = FIRST_BATCH_ENTRIES
  #loading: Promise<void> | undefined
  #ended = false

  constructor(scan: BatchSource) {
    this.#scan = scan
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Entry, undefined>> {
    if (this.#loading === undefined && this.#at < this.#batch.length) {
      return Promise.resolve({ done: false, value: this.#batch[this.#at++] as Entry })
    }
    return this.#nextAfterLoad()
  }

  async return(): Promise<IteratorResult<Entry, undefined>> {
    this.#ended = true
    this.#batch = []
    this.#scan.close()
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /** Calls that overlap wait for one another, so that each entry is given once and in order. */
  async #nextAfterLoad(): Promise<IteratorResult<Entry, undefined>> {
    while (this.#at >= this.#batch.length) {
      this.#loading ??= this.#load().finally(() => {
        this.#loading = undefined
      })
      await this.#loading
      if (this.#batch.length === 0) {
        this.#scan.close()
        return { done: true, value: undefined }
      }
    }
    return { done: false, value: this.#batch[this.#at++] as Entry }
  }

  async #load(): Promise<void> {
    const batch = await this.#scan.nextBatch(this.#entries, BATCH_BYTES)
    // Given back while the batch was on its way: nothing is handed out any more.
    this.#batch = this.#ended ? [] : batch
    this.#at = 0
    this.#entries = Math.min(this.#entries * 4, BATCH_ENTRIES)
  }
}
