import { MoraineError } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import { blobName, type FileId } from '../layout/object-names.ts'
import { valueOfRecord, verifyRecord } from './blob-record.ts'
import type { BlobReference } from './blob-reference.ts'
import type { BlobStore } from './blob-store.ts'
import { damagedBlob } from './blob-format.ts'

/** A verified record within the bytes that were read. */
export interface FoundRecord {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

interface Window {
  readonly offset: number
  readonly bytes: Uint8Array
}

const WINDOW_BYTES = 1024 * 1024
const MOST_WINDOWS = 16

/**
 * Reads records in the order of a merge. What one job wrote into a blob file lies there in key order, so of each file a
 * merge wants records with rising offsets, and a window read ahead serves many of them. Memory is bounded by
 * {@link MOST_WINDOWS} windows; the one used longest ago goes.
 */
export class BlobWindows {
  readonly #blobs: Pick<BlobStore, 'read'>
  readonly #account: RequestAccount | undefined
  readonly #windows = new Map<FileId, Window>()

  constructor(blobs: Pick<BlobStore, 'read'>, account?: RequestAccount) {
    this.#blobs = blobs
    this.#account = account
  }

  /** The record, verified; undefined when it has to be fetched first. */
  find(reference: BlobReference): FoundRecord | undefined {
    const window = this.#windows.get(reference.id)
    if (window === undefined) return undefined
    const start = reference.offset - window.offset
    const end = start + reference.recordBytes
    if (start < 0 || end > window.bytes.length) return undefined
    verifyRecord(reference, window.bytes, start, end)
    return { bytes: window.bytes, start, end }
  }

  /** The record that was fetched just now. */
  found(reference: BlobReference): FoundRecord {
    const found = this.find(reference)
    if (found === undefined) throw new MoraineError('INTERNAL', 'a value of a blob file is used that was not fetched')
    return found
  }

  async fetch(reference: BlobReference): Promise<FoundRecord> {
    const { id, offset, recordBytes } = reference
    this.#windows.delete(id)
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size < MOST_WINDOWS) break
      this.#windows.delete(oldest)
    }
    const bytes = await this.#blobs.read(id, offset, Math.max(WINDOW_BYTES, recordBytes), { account: this.#account })
    this.#windows.set(id, { offset, bytes })
    const found = this.find(reference)
    if (found === undefined) throw damagedBlob(blobName(id), `it ends within the value at ${offset}`)
    return found
  }

  /** The value itself, in an array of its own or a view that is not written to. */
  async value(reference: BlobReference): Promise<Uint8Array> {
    const { bytes, start, end } = this.find(reference) ?? (await this.fetch(reference))
    return valueOfRecord(reference, bytes, start, end)
  }
}
