import { copyRange } from '@moraine/base'
import type { BlobReference } from '../blob/blob-reference.ts'
import type { BlobStore } from '../blob/blob-store.ts'

/** Separated values that one batch of a scan fetches together at most. */
const MOST_BYTES = 4 * 1024 * 1024

/** The values of a batch that lie in blob files: noted while the batch is collected, fetched together when it is complete. */
export class BatchValues {
  readonly #entries: [key: Uint8Array, value: Uint8Array][] = []
  readonly #references: BlobReference[] = []
  #bytes = 0

  /** The batch should end: its separated values are as many as may be in memory at once. */
  get isFull(): boolean {
    return this.#bytes >= MOST_BYTES
  }

  /** The entry's value is to come from a blob file. */
  add(entry: [key: Uint8Array, value: Uint8Array], reference: BlobReference): void {
    this.#entries.push(entry)
    this.#references.push(reference)
    this.#bytes += reference.valueBytes
  }

  /** Puts the values into their entries; each is the caller's own. */
  async fill(blobs: BlobStore, signal: AbortSignal | undefined): Promise<void> {
    const values = await blobs.loadMany(this.#references, signal)
    for (const [i, entry] of this.#entries.entries()) {
      const value = values[i] as Uint8Array
      entry[1] = copyRange(value, 0, value.length)
    }
  }
}
