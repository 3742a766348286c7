import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, levelBytes, levelZeroDepth, overlappingInRun, type Version } from '../manifest/version.ts'
import {
  type CompactionPlan,
  type CompactionReason,
  type CompactionSettings,
  keySpan,
  mayRun,
  overlap,
  type PickContext,
  planInputs,
} from './compaction-plan.ts'
import { levelZeroScore } from './pick-level-zero.ts'

/**
 * A tiered tree keeps every level one sorted run, as the version demands, but no level has a size: a run stays where it
 * is until runs of its size have gathered above it, and then they are merged whole. Data is rewritten fewer times than in a
 * leveled tree; reads look into more runs, and more superseded values take up space meanwhile.
 */
interface Run {
  readonly level: number
  readonly files: readonly TableFile[]
  readonly bytes: number
}

/**
 * The next compaction of a tiered tree, or undefined. Pure. Every plan leaves fewer sorted runs, or moves tables to a
 * deeper level, so that plan after plan comes to an end.
 */
export function pickTiered(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const plan = planTiered(version, settings)
  return plan !== undefined && mayRun(plan, context) ? plan : undefined
}

/** How full the tree is: its sorted runs against the most it may have, and level 0 as in a leveled tree. */
export function tieredScores(version: Version, settings: CompactionSettings): number[] {
  const zero = version.levels[0] as readonly TableFile[]
  const runs = levelZeroDepth(zero) + deepRuns(version).length
  const zeroScore = zero.length === 0 ? 0 : levelZeroScore(zero, settings)
  const runScore = runs / (settings.tiered.maxSortedRuns + 1)
  return version.levels.map((files, level) => (files.length === 0 ? 0 : level === 0 ? Math.max(zeroScore, runScore) : runScore))
}

function planTiered(version: Version, settings: CompactionSettings): CompactionPlan | undefined {
  const zero = version.levels[0] as readonly TableFile[]
  const runs = deepRuns(version)
  if (zero.length > 0 && levelZeroScore(zero, settings) >= 1) return planLevelZero(version, zero, runs, settings)
  return levelZeroDepth(zero) + runs.length > settings.tiered.maxSortedRuns ? planFewerRuns(zero, runs, settings) : undefined
}

/** Level 0 goes down, with every run that is not much larger than what is newer than it. */
function planLevelZero(
  version: Version,
  zero: readonly TableFile[],
  runs: readonly Run[],
  settings: CompactionSettings,
): CompactionPlan {
  const { tiered } = settings
  const free = freeFall(version)
  if (free !== undefined) return free
  const oldest = zero.slice(-tiered.maxMergeWidth)
  const oldestRun = runs.at(-1)
  if (oldestRun !== undefined && oldest.length === zero.length) {
    const newer = levelBytes(zero) + runs.slice(0, -1).reduce((bytes, run) => bytes + run.bytes, 0)
    if (newer * 100 > oldestRun.bytes * tiered.spaceAmplificationPercent) return merge('space', oldest, runs)
  }
  let bytes = levelBytes(oldest)
  let taken = 0
  while (taken < runs.length && oldest.length + taken < tiered.maxMergeWidth) {
    const run = runs[taken] as Run
    if (run.bytes * 100 > bytes * (100 + tiered.sizeRatioPercent)) break
    bytes += run.bytes
    taken++
  }
  if (taken === 0 && runs[0]?.level === 1) {
    // No empty level above the newest run. Runs move down without being rewritten while there is an empty one below.
    const room = roomBelow(runs)
    if (room !== undefined) return room
    taken = 1
  }
  return merge(taken === 0 ? 'level0-count' : 'size-ratio', oldest, runs.slice(0, taken), runs[taken])
}

/** Merges these tables of level 0 and these newest runs; alone, level 0 goes right above the next older run. */
function merge(reason: CompactionReason, zero: readonly TableFile[], runs: readonly Run[], next?: Run): CompactionPlan {
  const last = runs.at(-1)
  if (last === undefined) {
    return { reason, inputs: planInputs([0, zero]), outputLevel: next === undefined ? LEVEL_COUNT - 1 : next.level - 1 }
  }
  const newer = runs.slice(0, -1)
  // Tables of the oldest run that nothing newer meets stay as they are.
  const span = keySpan([...zero, ...newer.flatMap(({ files }) => files)])
  const met = overlappingInRun(last.files, ...span)
  return {
    reason,
    inputs: planInputs([0, zero], ...newer.map(({ level, files }) => [level, files] as const), [last.level, met]),
    outputLevel: last.level,
  }
}

/** The deepest run with an empty level below it moves down as far as it can. */
function roomBelow(runs: readonly Run[]): CompactionPlan | undefined {
  let floor = LEVEL_COUNT
  for (const run of runs.toReversed()) {
    if (run.level < floor - 1) {
      return { reason: 'make-room', inputs: planInputs([run.level, run.files]), outputLevel: floor - 1 }
    }
    floor = run.level
  }
  return undefined
}

/** Tables of level 0 that meet nothing at all sink to the bottom, in one commit: a load in key order is never rewritten. */
function freeFall(version: Version): CompactionPlan | undefined {
  const zero = version.levels[0] as readonly TableFile[]
  const deeper = version.levels.slice(1)
  const free = zero.filter(
    (file) =>
      zero.every((other) => other === file || !overlap(file, other)) &&
      deeper.every((files) => overlappingInRun(files, file.smallestKey, file.largestKey).length === 0),
  )
  if (free.length === 0) return undefined
  return { reason: 'level0-count', inputs: planInputs([0, free]), outputLevel: LEVEL_COUNT - 1 }
}

/** The neighbouring runs whose merge costs the fewest bytes and leaves no more runs than there may be. */
function planFewerRuns(
  zero: readonly TableFile[],
  runs: readonly Run[],
  settings: CompactionSettings,
): CompactionPlan | undefined {
  const { maxSortedRuns, minMergeWidth, maxMergeWidth } = settings.tiered
  const units: Run[] = zero.length === 0 ? [...runs] : [{ level: 0, files: zero, bytes: levelBytes(zero) }, ...runs]
  const width = (window: readonly Run[]): number =>
    window.reduce((sum, run) => sum + (run.level === 0 ? levelZeroDepth(run.files) : 1), 0)
  const wanted = Math.max(Math.min(minMergeWidth, width(units)), Math.min(width(units) - maxSortedRuns + 1, maxMergeWidth))
  let best: Run[] | undefined
  let least = Number.POSITIVE_INFINITY
  for (let start = 0; start < units.length; start++) {
    for (let end = start + 1; end <= units.length; end++) {
      const window = units.slice(start, end)
      if (width(window) < wanted) continue
      // Level 0 alone needs an empty level right below it.
      if (end - start === 1 && units[end]?.level === 1) continue
      const bytes = window.reduce((sum, run) => sum + run.bytes, 0)
      if (bytes < least) {
        best = window
        least = bytes
      }
      break
    }
  }
  if (best === undefined) return undefined
  const next = units[units.indexOf(best.at(-1) as Run) + 1]
  const top = best[0] as Run
  if (top.level === 0) return merge('run-count', top.files.slice(-maxMergeWidth), best.slice(1), next)
  return merge('run-count', [], best)
}

/** The sorted runs below level 0, newest first. */
function deepRuns(version: Version): Run[] {
  return version.levels
    .map((files, level) => ({ level, files, bytes: levelBytes(files) }))
    .filter(({ level, files }) => level > 0 && files.length > 0)
}
