import { compareBytes } from '@moraine/base'
import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, levelBytes, overlappingFiles, type Version } from '../manifest/version.ts'
import type { CompactionPlan, LeveledSettings } from './compaction-plan.ts'

/**
 * The most urgent compaction of a version, or undefined when every level is within its size. Pure: the same version and
 * settings give the same plan. Level 0 is measured by its number of tables, because every one of them is another place a
 * read has to look; deeper levels by their bytes.
 */
export function pickLeveled(version: Version, settings: LeveledSettings): CompactionPlan | undefined {
  let worst = -1
  let worstScore = 1
  for (let level = 0; level < LEVEL_COUNT - 1; level++) {
    const score = scoreOf(version, level, settings)
    if (score >= worstScore) {
      worst = level
      worstScore = score === worstScore && worst >= 0 ? worstScore : score
    }
  }
  if (worst < 0) return undefined
  return worst === 0 ? planLevelZero(version) : planLevel(version, worst)
}

/** How full a level is: 1 and above asks for a compaction. */
export function scoreOf(version: Version, level: number, settings: LeveledSettings): number {
  const files = version.levels[level] as readonly TableFile[]
  if (level === 0) return files.length / settings.level0CompactionTrigger
  const limit = levelLimitBytes(level, settings)
  // At the limit is full enough only when something can move: an empty level never asks.
  return files.length === 0 ? 0 : levelBytes(files) / (limit + 1)
}

export function levelLimitBytes(level: number, settings: LeveledSettings): number {
  return settings.levelBaseSizeBytes * settings.levelSizeMultiplier ** (level - 1)
}

/** All of level 0 with everything of level 1 that it touches. */
function planLevelZero(version: Version): CompactionPlan {
  const files = version.levels[0] as readonly TableFile[]
  const [smallest, largest] = keySpan(files)
  const below = overlappingFiles(version.levels[1] as readonly TableFile[], smallest, largest)
  return { reason: 'level0-count', inputs: inputs([0, files], [1, below]), outputLevel: 1 }
}

/** The table of the level that drags the fewest bytes of the next level along, for each byte of its own. */
function planLevel(version: Version, level: number): CompactionPlan {
  const files = version.levels[level] as readonly TableFile[]
  const next = version.levels[level + 1] as readonly TableFile[]
  let chosen = files[0] as TableFile
  let chosenBelow: TableFile[] = []
  let least = Number.POSITIVE_INFINITY
  for (const file of files) {
    const below = overlappingFiles(next, file.smallestKey, file.largestKey)
    const ratio = levelBytes(below) / file.sizeBytes
    if (ratio < least) {
      least = ratio
      chosen = file
      chosenBelow = below
    }
  }
  return { reason: 'level-size', inputs: inputs([level, [chosen]], [level + 1, chosenBelow]), outputLevel: level + 1 }
}

function inputs(...levels: [number, readonly TableFile[]][]): CompactionPlan['inputs'] {
  return levels.filter(([, files]) => files.length > 0).map(([level, files]) => ({ level, files }))
}

/** Smallest and largest key of a set of tables. */
export function keySpan(files: readonly TableFile[]): [Uint8Array, Uint8Array] {
  let smallest = (files[0] as TableFile).smallestKey
  let largest = (files[0] as TableFile).largestKey
  for (const file of files) {
    if (compareBytes(file.smallestKey, smallest) < 0) smallest = file.smallestKey
    if (compareBytes(file.largestKey, largest) > 0) largest = file.largestKey
  }
  return [smallest, largest]
}
