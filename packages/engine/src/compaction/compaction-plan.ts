import type { TableFile } from '../manifest/table-file.ts'

/** One compaction: these tables leave their levels, and what is left of them enters `outputLevel`. */
export interface CompactionPlan {
  /** Why, for events and logs. */
  readonly reason: 'level0-count' | 'level-size' | 'manual'
  readonly inputs: readonly { readonly level: number; readonly files: readonly TableFile[] }[]
  readonly outputLevel: number
}

/** Sizes that the leveled picker works with. */
export interface LeveledSettings {
  /** Tables in level 0 that start a compaction. */
  readonly level0CompactionTrigger: number
  /** Bytes that level 1 may hold; each deeper level holds `levelSizeMultiplier` times as much. */
  readonly levelBaseSizeBytes: number
  readonly levelSizeMultiplier: number
}
