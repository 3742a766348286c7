import type { Version } from '../manifest/version.ts'
import type { CompactionPlan, CompactionSettings, PickContext } from './compaction-plan.ts'
import { pickDead } from './pick-dead.ts'
import { leveledScores, pickLeveled } from './pick-leveled.ts'
import { pickAged, pickBlobGarbage, pickTombstones } from './pick-tables.ts'
import { pickTiered, tieredScores } from './pick-tiered.ts'

/**
 * The compaction to do next, or undefined when there is nothing to do. Pure: what costs no reading comes first, then the
 * shape of the tree, then tables full of tombstones, then those that keep blob files of which little is in use, then tables
 * that are too old.
 */
export function pickCompaction(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const pickShape = settings.compactionStyle === 'tiered' ? pickTiered : pickLeveled
  return (
    pickDead(version, context) ??
    pickShape(version, settings, context) ??
    pickTombstones(version, settings, context) ??
    pickBlobGarbage(version, settings, context) ??
    pickAged(version, settings, context)
  )
}

/** How full each level is; 1 and above asks for a compaction. */
export function compactionScores(version: Version, settings: CompactionSettings, context: PickContext): number[] {
  return settings.compactionStyle === 'tiered' ? tieredScores(version, settings) : leveledScores(version, settings, context)
}
