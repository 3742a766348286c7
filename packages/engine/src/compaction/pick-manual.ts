import type { TableFile } from '../manifest/table-file.ts'
import { type KeyRange, rangeTouches } from '../key/key-range.ts'
import { LEVEL_COUNT, overlappingFiles, type Version } from '../manifest/version.ts'
import type { CompactionPlan } from './compaction-plan.ts'
import { keySpan } from './pick-leveled.ts'

/**
 * The compaction that moves the tables of `level` that touch `range` one level down, with all they overlap there;
 * undefined when the level has none. Applied to level 0, 1, 2, ... in turn it brings a range down to one sorted run.
 */
export function pickManual(version: Version, level: number, range: KeyRange): CompactionPlan | undefined {
  if (level >= LEVEL_COUNT - 1) return undefined
  const own = version.levels[level] as readonly TableFile[]
  let files = own.filter((file) => rangeTouches(range, file.smallestKey, file.largestKey))
  if (files.length === 0) return undefined
  // Tables of level 0 overlap one another, and an older one must never stay above a newer one: widen until stable.
  if (level === 0) {
    for (;;) {
      const [smallest, largest] = keySpan(files)
      const wider = overlappingFiles(own, smallest, largest)
      if (wider.length === files.length) break
      files = wider
    }
  }
  const [smallest, largest] = keySpan(files)
  const below = overlappingFiles(version.levels[level + 1] as readonly TableFile[], smallest, largest)
  const inputs = [{ level, files }]
  if (below.length > 0) inputs.push({ level: level + 1, files: below })
  return { reason: 'manual', inputs, outputLevel: level + 1 }
}

/** The deepest level that holds tables; 0 for an empty version. */
export function deepestLevel(version: Version): number {
  return version.levels.findLastIndex((files) => files.length > 0)
}
