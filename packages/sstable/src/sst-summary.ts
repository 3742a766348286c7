/** What a finished table holds: what its owner has to remember about it. */
export interface SstSummary {
  readonly sizeBytes: number
  /** Where the metadata starts; one read of [tailOffset, sizeBytes) opens the table. */
  readonly tailOffset: number
  /** CRC-32C of the bytes [tailOffset, sizeBytes). */
  readonly tailCrc32c: number
  readonly entryCount: number
  readonly deletionCount: number
  /** User keys, in arrays of their own. */
  readonly smallestKey: Uint8Array
  readonly largestKey: Uint8Array
  readonly smallestSeq: number
  readonly largestSeq: number
  /** Internal keys: user keys and eight bytes each. */
  readonly rawKeyBytes: number
  readonly rawValueBytes: number
  readonly dataBlockCount: number
}
