import { compareBytes } from '@moraine/base'
import { intersectRanges, keyAfter, type KeyRange, rangeTouches } from '../key/key-range.ts'
import type { FileId } from '../layout/object-names.ts'
import { NO_BLOBS } from '../manifest/blob-link.ts'
import { endsBefore, type TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, levelBytes, overlappingFiles, overlappingInRun, type Version } from '../manifest/version.ts'
import { type CompactionPlan, type CompactionSettings, keySpan, planInputs } from './compaction-plan.ts'
import { levelLimitBytes } from './pick-leveled.ts'

/** Tables that one step takes out of a level at most, in sizes of an output table. */
const STEP_WIDTH_MOST = 16

/** One step of a manual compaction, and the keys of this level that are left for the next steps. */
export interface ManualStep {
  readonly plan: CompactionPlan
  readonly rest: KeyRange
}

/**
 * The first tables of `level` that touch `range` move one level down, with all they meet there; undefined when the
 * level has none. Repeated with what is left of the range, and for level 0, 1, 2, ... in turn, it brings a range down to
 * one sorted run. The range left shrinks with every step whatever is written meanwhile, so the steps come to an end.
 */
export function pickManual(version: Version, level: number, range: KeyRange, settings: CompactionSettings): ManualStep | undefined {
  if (level >= LEVEL_COUNT - 1) return undefined
  const files = version.levels[level] as readonly TableFile[]
  // An older table of level 0 must never stay above a newer one, and newer ones are asked for as well.
  const chosen = level === 0 ? connected(files, touching(files, range)) : firstTables(files, range, settings)
  if (chosen.length === 0) return undefined
  const span = keySpan(chosen)
  const below = overlappingInRun(version.levels[level + 1] as readonly TableFile[], ...span)
  const plan: CompactionPlan = { reason: 'manual', inputs: planInputs([level, chosen], [level + 1, below]), outputLevel: level + 1 }
  return { plan, rest: rangeAfter(range, chosen) }
}

/**
 * The first tables of the deepest level with data in `range` that are in `stale` are rewritten in their place: there
 * tombstones end, and so do versions that only snapshots closed meanwhile could see.
 */
export function pickManualRewrite(
  version: Version,
  level: number,
  range: KeyRange,
  settings: CompactionSettings,
  stale: ReadonlySet<FileId>,
): ManualStep | undefined {
  const files = version.levels[level] as readonly TableFile[]
  const at = files.findIndex((file) => stale.has(file.id) && touches(range, file))
  if (at < 0) return undefined
  const chosen = [files[at] as TableFile]
  for (const file of files.slice(at + 1)) {
    if (!stale.has(file.id) || !touches(range, file)) break
    if (levelBytes(chosen) + file.sizeBytes > STEP_WIDTH_MOST * settings.targetFileSizeBytes) break
    chosen.push(file)
  }
  const plan: CompactionPlan = { reason: 'manual', inputs: planInputs([level, chosen]), outputLevel: level }
  return { plan, rest: rangeAfter(range, chosen) }
}

/**
 * Where a manual compaction brings a range: the deepest level with tables of it, at least 1; in a leveled tree not above
 * the level that has room for it, or the next compaction would tear the range apart again.
 */
export function manualTarget(version: Version, range: KeyRange, settings: CompactionSettings): number {
  const deepest = version.levels.findLastIndex((files) => files.some((file) => touches(range, file)))
  let target = Math.max(1, deepest)
  if (settings.compactionStyle !== 'leveled') return target
  const bytes = version.levels.reduce((sum, files) => sum + levelBytes(touching(files, range)), 0)
  while (target < LEVEL_COUNT - 1 && bytes > levelLimitBytes(target, settings)) target++
  return target
}

/** The tables that touch a range. */
export function tablesOf(version: Version, range: KeyRange): Set<FileId> {
  return new Set(version.levels.flatMap((files) => touching(files, range).map((file) => file.id)))
}

/** The tables that another database wrote, or that refer to its blob files. */
export function borrowedTables(version: Version): Set<FileId> {
  const isBorrowed = ({ origin, blobs = NO_BLOBS }: TableFile): boolean =>
    origin !== undefined || blobs.some((link) => link.origin !== undefined)
  return new Set(version.levels.flatMap((files) => files.filter(isBorrowed).map((file) => file.id)))
}

function firstTables(files: readonly TableFile[], range: KeyRange, settings: CompactionSettings): TableFile[] {
  const chosen: TableFile[] = []
  for (const file of touching(files, range)) {
    if (chosen.length > 0 && levelBytes(chosen) + file.sizeBytes > STEP_WIDTH_MOST * settings.targetFileSizeBytes) break
    chosen.push(file)
  }
  return chosen
}

/** Tables of level 0 with everything there that meets their span, until nothing more does. */
function connected(files: readonly TableFile[], seeds: readonly TableFile[]): readonly TableFile[] {
  let chosen = seeds
  while (chosen.length > 0) {
    const wider = overlappingFiles(files, ...keySpan(chosen))
    if (wider.length === chosen.length) break
    chosen = wider
  }
  return chosen
}

function touching(files: readonly TableFile[], range: KeyRange): TableFile[] {
  return files.filter((file) => touches(range, file))
}

/** Exact at the end of a table whose last key is excluded: the next table may begin there, and is not to be passed over. */
function touches(range: KeyRange, file: TableFile): boolean {
  const { gte } = range
  return rangeTouches(range, file.smallestKey, file.largestKey) && (gte === undefined || !endsBefore(file, gte, 0, gte.length))
}

/** What of a range lies after all keys of some tables; a range without keys when nothing does. */
function rangeAfter(range: KeyRange, files: readonly TableFile[]): KeyRange {
  const [, largest] = keySpan(files)
  const included = files.some((file) => !endsBefore(file, largest, 0, largest.length))
  const rest = intersectRanges(range, { gte: included ? keyAfter(largest) : largest })
  return rest.lt !== undefined && rest.gte !== undefined && compareBytes(rest.gte, rest.lt) >= 0 ? EMPTY_RANGE : rest
}

const EMPTY_RANGE: KeyRange = { gte: new Uint8Array(0), lt: new Uint8Array(0) }
