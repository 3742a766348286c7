/** What a finished table holds: what its owner has to remember about it. */
export interface SstSummary {
  readonly sizeBytes: number
  /** Where the metadata starts; one read of [tailOffset, sizeBytes) opens the table. */
  readonly tailOffset: number
  /** CRC-32C of the bytes [tailOffset, sizeBytes). */
  readonly tailCrc32c: number
  /** Range tombstones are counted as entries and as deletions. */
  readonly entryCount: number
  readonly deletionCount: number
  readonly rangeTombstoneCount: number
  /** User keys, in arrays of their own. Keys and sequence numbers cover the range tombstones, too. */
  readonly smallestKey: Uint8Array
  readonly largestKey: Uint8Array
  /** The largest key is the end of a range tombstone, which lies above every key of an entry. */
  readonly largestKeyExcluded: boolean
  readonly smallestSeq: number
  readonly largestSeq: number
  /** Internal keys: user keys and eight bytes each. The value of a range tombstone is its end. */
  readonly rawKeyBytes: number
  readonly rawValueBytes: number
  readonly dataBlockCount: number
}
