import type { SstMetadata } from '@moraine/sstable'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { BlockSlots, CachedBlock } from './block-cache.ts'

/** What is in memory of one table: its metadata once it was opened, and the blocks the cache holds. */
export interface TableHandle extends BlockSlots {
  readonly file: TableFile
  readonly blocks: (CachedBlock | undefined)[]
  metadata: SstMetadata | undefined
  /** The range tombstones of the metadata, once somebody asked. */
  tombstones: RangeTombstones | undefined
  /** Metadata was used since the budget last looked. */
  metadataUsed: boolean
  /** Loads under way, so that concurrent misses share one request. */
  metadataLoad: Promise<SstMetadata> | undefined
  readonly blockLoads: Map<number, Promise<unknown>>
}

export function newTableHandle(file: TableFile): TableHandle {
  return { file, blocks: [], metadata: undefined, tombstones: undefined, metadataUsed: false, metadataLoad: undefined, blockLoads: new Map() }
}
