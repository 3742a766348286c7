import type { KeyFilter } from './filter/key-filter.ts'
import type { BlockIndex } from './index/block-index.ts'
import type { SstProperties } from './properties/sst-properties.ts'
import type { RangeTombstone } from './range-tombstone/range-tombstone.ts'

/** Which file a tail comes from, and what its owner remembers about it. */
export interface SstSource {
  /** For messages. */
  readonly name: string
  readonly sizeBytes: number
  readonly tailOffset: number
  /** Verified when given: it ties the tail to the file that the owner meant. */
  readonly tailCrc32c?: number
}

/** An opened table: what stays in memory of it. */
export interface SstMetadata {
  readonly index: BlockIndex
  readonly filter: KeyFilter | undefined
  readonly properties: SstProperties
  /** In the order of the file, which is that of their starts in every table of Moraine's own. */
  readonly rangeTombstones: readonly RangeTombstone[]
  /** The value of every put and merge begins with an envelope of the engine. */
  readonly enveloped: boolean
  /** A ChecksumType: how the blocks of the file are checksummed. */
  readonly checksumType: number
  readonly memoryBytes: number
}
