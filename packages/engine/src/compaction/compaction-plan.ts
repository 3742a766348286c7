import { compareBytes } from '@moraine/base'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import { precedes, type TableFile } from '../manifest/table-file.ts'
import { levelBytes } from '../manifest/version.ts'

/**
 * Why a compaction was chosen. Of the shape of the tree: `level0-count` and `level0-bytes` (level 0 is too deep),
 * `level0-merge` (small tables of level 0 become one, because level 1 would drag too much along), `level-size` (leveled),
 * `size-ratio`, `run-count`, `space` and `make-room` (tiered). Of the tables: `dead` (nobody can see anything of them, they
 * leave without being read), `tombstones` (and tables full of what has expired), `blob-garbage` (they refer to blob files of
 * which little is in use) and `age`. By request: `manual`.
 */
export type CompactionReason =
  | 'level0-count'
  | 'level0-bytes'
  | 'level0-merge'
  | 'level-size'
  | 'size-ratio'
  | 'run-count'
  | 'space'
  | 'make-room'
  | 'dead'
  | 'tombstones'
  | 'blob-garbage'
  | 'age'
  | 'manual'

/** Tables of one level that a compaction takes, in the level's order. */
export interface PlanInput {
  readonly level: number
  readonly files: readonly TableFile[]
}

/** One compaction: these tables leave their levels, and what is left of them enters `outputLevel`. */
export interface CompactionPlan {
  /** Why, for events and logs. */
  readonly reason: CompactionReason
  /** Newest level first; every input holds at least one table. */
  readonly inputs: readonly PlanInput[]
  readonly outputLevel: number
}

/** What the pickers work with; sizes in bytes, times in milliseconds. */
export interface CompactionSettings {
  readonly compactionStyle: 'leveled' | 'tiered'
  /** Tables in level 0 that start a compaction. */
  readonly level0CompactionTrigger: number
  /** Size of a flushed table, at most: what level 0 may weigh is counted in these. */
  readonly memtableSizeBytes: number
  /** Size at which a compaction starts another table. */
  readonly targetFileSizeBytes: number
  /** Leveled: bytes that level 1 may hold; each deeper level holds `levelSizeMultiplier` times as much. */
  readonly levelBaseSizeBytes: number
  readonly levelSizeMultiplier: number
  readonly tiered: TieredSettings
  /** A table with at least this share of tombstones is compacted when nothing more urgent is there; 0 for never. */
  readonly compactionTombstonePercent: number
  /** A blob file of which less than this is in use is emptied: its values are written anew, and it goes; 0 for never. */
  readonly blobGarbagePercent: number
  /** A table older than this is rewritten once; 0 for never. */
  readonly compactionMaxAgeMs: number
}

export interface TieredSettings {
  /** A merge takes the next older run in while that is at most this much larger than what it has already. */
  readonly sizeRatioPercent: number
  /** Sorted runs that a merge for the sake of fewer runs takes at least. */
  readonly minMergeWidth: number
  /** Sorted runs that one merge takes at most, but for `space`. */
  readonly maxMergeWidth: number
  /** Tables of level 0 and non-empty levels; more are merged. */
  readonly maxSortedRuns: number
  /** All runs are merged when the newer ones weigh this much of the oldest. */
  readonly spaceAmplificationPercent: number
}

/** What a picker must know beyond the version and the settings. */
export interface PickContext {
  /** The oldest sequence number that must stay readable; undefined when only the present is read. */
  readonly oldestSnapshot: number | undefined
  /** Wall-clock milliseconds since the Unix epoch. */
  readonly nowMs: number
  /** What has expired by this wall-clock millisecond nobody can see; left out: nothing has. */
  readonly ttlNowMs?: number
  /** The range tombstones of a table, of the whole table; undefined when they are not known. */
  readonly tombstonesOf?: (file: TableFile) => RangeTombstones | undefined
  /** Compactions that have begun and not ended: nothing of theirs is picked again. */
  readonly running: readonly CompactionPlan[]
}

/** The inputs of a plan without the empty ones. */
export function planInputs(...levels: readonly (readonly [level: number, files: readonly TableFile[]])[]): PlanInput[] {
  return levels.filter(([, files]) => files.length > 0).map(([level, files]) => ({ level, files }))
}

export function inputBytes(plan: CompactionPlan): number {
  return plan.inputs.reduce((bytes, { files }) => bytes + levelBytes(files), 0)
}

/** Smallest and largest key of a set of tables, which must not be empty. */
export function keySpan(files: readonly TableFile[]): [smallest: Uint8Array, largest: Uint8Array] {
  let { smallestKey, largestKey } = files[0] as TableFile
  for (const file of files) {
    if (compareBytes(file.smallestKey, smallestKey) < 0) smallestKey = file.smallestKey
    if (compareBytes(file.largestKey, largestKey) > 0) largestKey = file.largestKey
  }
  return [smallestKey, largestKey]
}

export function overlap(a: TableFile, b: TableFile): boolean {
  return !precedes(a, b) && !precedes(b, a)
}

/**
 * True when the tables of a plan only change their level: all of them come from one level, above the output, and they
 * neither meet one another nor (or the plan would take those as well) anything in the output level.
 */
export function isTrivialMove(plan: CompactionPlan): boolean {
  const [only, ...others] = plan.inputs
  if (only === undefined || others.length > 0 || only.level >= plan.outputLevel) return false
  const ordered = [...only.files].sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
  return ordered.every((file, i) => i === 0 || precedes(ordered[i - 1] as TableFile, file))
}

/**
 * True when two compactions must not run at the same time: they touch a level in common and their keys meet, so one
 * could take what the other is about to replace, or both could write the same keys into one level.
 */
export function plansConflict(a: CompactionPlan, b: CompactionPlan): boolean {
  const [aFirst, bFirst] = [topLevel(a), topLevel(b)]
  if (aFirst > b.outputLevel || bFirst > a.outputLevel) return false
  const [aSmallest, aLargest] = keySpan(a.inputs.flatMap(({ files }) => files))
  const [bSmallest, bLargest] = keySpan(b.inputs.flatMap(({ files }) => files))
  return compareBytes(aSmallest, bLargest) <= 0 && compareBytes(bSmallest, aLargest) <= 0
}

function topLevel(plan: CompactionPlan): number {
  return Math.min(...plan.inputs.map(({ level }) => level))
}

export function mayRun(plan: CompactionPlan, context: PickContext): boolean {
  return context.running.every((running) => !plansConflict(plan, running))
}
