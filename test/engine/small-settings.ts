import type { OpenOptions } from 'moraine'

/** So small that a few hundred writes fill memtables, several levels and every cache. */
export const SMALL_SETTINGS: OpenOptions = {
  memtableSizeBytes: 256 * 1024,
  blockSizeBytes: 1024,
  targetFileSizeBytes: 4 * 1024,
  levelBaseSizeBytes: 8 * 1024,
  levelSizeMultiplier: 2,
  level0CompactionTrigger: 2,
  level0StopTrigger: 6,
  blockCacheSizeBytes: 32 * 1024,
  metadataCacheSizeBytes: 8 * 1024,
}
