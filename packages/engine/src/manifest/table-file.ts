import type { FileId } from '../layout/object-names.ts'

/**
 * What a version knows of one sorted table without opening it: enough to find it, to check that the object is the
 * one that was written (size and checksum of its tail), to open it with one ranged GET (where its tail starts), and to
 * decide whether a read or a compaction needs it at all.
 */
export interface TableFile {
  readonly id: FileId
  readonly sizeBytes: number
  /** Where the metadata at the end of the file begins. */
  readonly tailOffset: number
  /** CRC-32C of the bytes from `tailOffset` to the end. */
  readonly tailCrc32c: number
  readonly entryCount: number
  readonly deletionCount: number
  /** Smallest and largest user key, both included. */
  readonly smallestKey: Uint8Array
  readonly largestKey: Uint8Array
  readonly smallestSeq: number
  readonly largestSeq: number
  /** User keys and values before compression, in bytes. */
  readonly rawBytes: number
  /** Wall-clock milliseconds since the Unix epoch; for display only. */
  readonly createdAtMs: number
}
