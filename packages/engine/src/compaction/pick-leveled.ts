import { compareBytes } from '@moraine/base'
import { precedes, type TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, levelBytes, overlappingInRun, type Version } from '../manifest/version.ts'
import { type CompactionPlan, type CompactionSettings, keySpan, mayRun, type PickContext, planInputs } from './compaction-plan.ts'
import { levelZeroScore, planLevelZero } from './pick-level-zero.ts'

/** Tables that one compaction takes out of a level at most, in sizes of an output table and by number. */
const LEVEL_WIDTH_MOST = 8
const LEVEL_TABLES_MOST = 64

/**
 * The most urgent compaction of a leveled tree, or undefined when every level is within its size. Pure: the same version
 * and settings give the same plan. Every plan moves tables to a deeper level, or leaves fewer of them in level 0, so
 * that plan after plan comes to an end.
 */
export function pickLeveled(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const full = leveledScores(version, settings, context)
    .map((score, level) => ({ score, level }))
    .filter(({ score }) => score >= 1)
    .sort((a, b) => b.score - a.score || a.level - b.level)
  for (const { level } of full) {
    const plan = level === 0 ? planLevelZero(version, settings, context) : planLevel(version, level, settings, context)
    if (plan !== undefined) return plan
  }
  return undefined
}

/** How full each level is, without what running compactions are taking away; 1 and above asks for a compaction. */
export function leveledScores(version: Version, settings: CompactionSettings, context: PickContext): number[] {
  const leaving = new Set(context.running.flatMap(({ inputs }) => inputs.flatMap(({ files }) => files)))
  return version.levels.map((all, level) => {
    const files = leaving.size === 0 ? all : all.filter((file) => !leaving.has(file))
    if (files.length === 0) return 0
    if (level === 0) return levelZeroScore(files, settings)
    // The last level has nowhere to go. A level that is exactly full does not ask yet.
    return level === LEVEL_COUNT - 1 ? 0 : levelBytes(files) / (levelLimitBytes(level, settings) + 1)
  })
}

export function levelLimitBytes(level: number, settings: CompactionSettings): number {
  return settings.levelBaseSizeBytes * settings.levelSizeMultiplier ** (level - 1)
}

/**
 * The table of a level that drags the fewest bytes of the next level along for each byte of its own; of equals the one
 * whose newest write is oldest, so that cold data sinks first and no range is picked for ever. Its neighbours
 * come along while the level is still too full and they drag nothing more: a commit costs requests, whatever it moves.
 */
function planLevel(
  version: Version,
  level: number,
  settings: CompactionSettings,
  context: PickContext,
): CompactionPlan | undefined {
  const files = version.levels[level] as readonly TableFile[]
  const next = version.levels[level + 1] as readonly TableFile[]
  const dragged = draggedBytes(files, next)
  const excess = Math.min(levelBytes(files) - levelLimitBytes(level, settings), LEVEL_WIDTH_MOST * settings.targetFileSizeBytes)
  const cheaper = (a: number, b: number): number => {
    const [one, other] = [files[a] as TableFile, files[b] as TableFile]
    const ratios = (dragged[a] as number) / one.sizeBytes - (dragged[b] as number) / other.sizeBytes
    return ratios || one.largestSeq - other.largestSeq || a - b
  }
  const planAround = (at: number): CompactionPlan | undefined => {
    const alone = [files[at] as TableFile]
    const below = overlapping(next, alone)
    const dragsNoMore = (group: readonly TableFile[]): boolean =>
      levelBytes(group) <= excess && overlapping(next, group).length === below.length
    const plans = [withNeighbours(files, at, dragsNoMore), alone].map((chosen) => planOf(level, chosen, below))
    return plans.find((plan) => mayRun(plan, context))
  }
  const places = [...files.keys()]
  // One pass finds the cheapest; only when that may not run do the others have to be in order.
  const cheapest = planAround(places.reduce((best, at) => (cheaper(at, best) < 0 ? at : best), 0))
  if (cheapest !== undefined || context.running.length === 0) return cheapest
  for (const at of places.sort(cheaper)) {
    const plan = planAround(at)
    if (plan !== undefined) return plan
  }
  return undefined
}

function planOf(level: number, files: readonly TableFile[], below: readonly TableFile[]): CompactionPlan {
  return { reason: 'level-size', inputs: planInputs([level, files], [level + 1, below]), outputLevel: level + 1 }
}

/** The table at `at` and as many of its neighbours, right before left, as the group may take. */
function withNeighbours(files: readonly TableFile[], at: number, allowed: (group: readonly TableFile[]) => boolean): TableFile[] {
  let start = at
  let end = at + 1
  while (end < files.length && end - start < LEVEL_TABLES_MOST && allowed(files.slice(start, end + 1))) end++
  while (start > 0 && end - start < LEVEL_TABLES_MOST && allowed(files.slice(start - 1, end))) start--
  return files.slice(start, end)
}

function overlapping(next: readonly TableFile[], group: readonly TableFile[]): TableFile[] {
  return overlappingInRun(next, ...keySpan(group))
}

/** For each table of a sorted run the bytes that it meets in the next run; one pass over both. */
function draggedBytes(files: readonly TableFile[], next: readonly TableFile[]): number[] {
  const before: number[] = [0]
  for (const { sizeBytes } of next) before.push((before.at(-1) as number) + sizeBytes)
  let [start, end] = [0, 0]
  return files.map((file) => {
    while (start < next.length && precedes(next[start] as TableFile, file)) start++
    end = Math.max(end, start)
    while (end < next.length && compareBytes((next[end] as TableFile).smallestKey, file.largestKey) <= 0) end++
    return (before[end] as number) - (before[start] as number)
  })
}
