import type { SstSummary } from '@moraine/sstable'
import type { TableBlobs } from '../blob/value-separator.ts'

/** A finished table that is still in memory: its pieces in order, and what is known of it. */
export interface BuiltTable {
  readonly parts: readonly Uint8Array[]
  readonly summary: SstSummary
  /** What is uploaded with it, and all that it refers to. */
  readonly blobs: TableBlobs
  /** Every put and merge begins with an envelope. */
  readonly enveloped: boolean
  /** From this wall-clock millisecond on no entry is to be seen; undefined when some never expire. */
  readonly expiresAtMs: number | undefined
  /** The first key that the table left to a later one: everything before it is done. Undefined: the source is at its end. */
  readonly nextKey: Uint8Array | undefined
}
