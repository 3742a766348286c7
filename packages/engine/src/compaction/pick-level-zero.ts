import type { TableFile } from '../manifest/table-file.ts'
import { levelBytes, levelZeroDepth, overlappingFiles, overlappingInRun, type Version } from '../manifest/version.ts'
import { type CompactionPlan, type CompactionSettings, keySpan, mayRun, overlap, type PickContext, planInputs } from './compaction-plan.ts'

/** Tables of level 0 that one compaction takes: each of them is a stream of its own in the merge, with its read-ahead. */
const LEVEL0_WIDTH_MOST = 32

/**
 * How full level 0 is: 1 and above asks for a compaction. By the number of tables, because every one of them is another
 * place a read has to look; and by bytes, because tables that did not come from our memtables may be of any size.
 */
export function levelZeroScore(files: readonly TableFile[], settings: CompactionSettings): number {
  return Math.max(levelZeroDepth(files) / settings.level0CompactionTrigger, levelBytes(files) / (levelZeroLimitBytes(settings) + 1))
}

function levelZeroLimitBytes(settings: CompactionSettings): number {
  return Math.max(settings.levelBaseSizeBytes, settings.level0CompactionTrigger * settings.memtableSizeBytes)
}

/**
 * What a leveled tree does about its level 0. Three ways, cheapest first:
 *
 *   1. Tables that meet nothing in level 0 and 1 only change their level, all of them in one commit. A load in key order
 *      is never rewritten here.
 *   2. When what level 1 would drag along is out of proportion (a database that flushes often, for its checkpoints, has
 *      tiny tables in level 0), small neighbours in level 0 become one table and wait for more.
 *   3. Tables that meet one another go into level 1 together, the oldest ones first: an older table must never stay above
 *      a newer one.
 */
export function planLevelZero(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const files = version.levels[0] as readonly TableFile[]
  const reason = levelZeroDepth(files) >= settings.level0CompactionTrigger ? 'level0-count' : 'level0-bytes'
  const free = freeTables(version)
  if (free.length > 0) {
    const move: CompactionPlan = { reason, inputs: planInputs([0, free]), outputLevel: 1 }
    if (mayRun(move, context)) return move
  }
  const chosen = largestCluster(files).slice(-LEVEL0_WIDTH_MOST)
  const below = overlappingInRun(version.levels[1] as readonly TableFile[], ...keySpan(chosen))
  const merge: CompactionPlan = { reason, inputs: planInputs([0, chosen], [1, below]), outputLevel: 1 }
  const outOfProportion = levelBytes(below) > (levelBytes(chosen) * settings.levelSizeMultiplier) / 2
  if (outOfProportion || !mayRun(merge, context)) {
    const small = smallNeighbours(files, settings)
    if (small !== undefined) {
      const join: CompactionPlan = { reason: 'level0-merge', inputs: planInputs([0, small]), outputLevel: 0 }
      if (mayRun(join, context)) return join
    }
  }
  return mayRun(merge, context) ? merge : undefined
}

/** The tables of level 0 that must go down together with `seed`: those older than one of them that share keys with it. */
export function levelZeroClosure(files: readonly TableFile[], seed: TableFile): TableFile[] {
  const chosen = [seed]
  for (const older of files.slice(files.indexOf(seed) + 1)) {
    if (chosen.some((file) => overlap(file, older))) chosen.push(older)
  }
  return chosen
}

/** Tables of level 0 that share keys with no other one there and with none of level 1. */
function freeTables(version: Version): TableFile[] {
  const files = version.levels[0] as readonly TableFile[]
  const below = version.levels[1] as readonly TableFile[]
  return files.filter(
    (file) =>
      files.every((other) => other === file || !overlap(file, other)) &&
      overlappingInRun(below, file.smallestKey, file.largestKey).length === 0,
  )
}

/** Tables connected by shared keys: the largest such group, in the order of level 0; the oldest of equals. */
function largestCluster(files: readonly TableFile[]): TableFile[] {
  let best: TableFile[] = []
  const left = new Set(files)
  for (const seed of files.toReversed()) {
    if (!left.delete(seed)) continue
    const cluster = [seed]
    for (const member of cluster) {
      for (const other of left) {
        if (!overlap(member, other)) continue
        left.delete(other)
        cluster.push(other)
      }
    }
    if (cluster.length > best.length) best = cluster
  }
  const members = new Set(best)
  return files.filter((file) => members.has(file))
}

/**
 * Neighbours in level 0, the newest possible, of which none is more than twice as large as the others together: so a byte
 * is rewritten only when its table grows by half at least. What they make is one table: half the target size leaves
 * room for blocks that are compressed less well than before.
 */
function smallNeighbours(files: readonly TableFile[], settings: CompactionSettings): TableFile[] | undefined {
  const least = Math.max(2, Math.floor(settings.level0CompactionTrigger / 2))
  for (let start = 0; start + least <= files.length; start++) {
    let bytes = (files[start] as TableFile).sizeBytes
    let end = start + 1
    for (; end < files.length && end - start < LEVEL0_WIDTH_MOST; end++) {
      const { sizeBytes } = files[end] as TableFile
      if (sizeBytes > 2 * bytes || bytes + sizeBytes > settings.targetFileSizeBytes / 2) break
      bytes += sizeBytes
    }
    const group = files.slice(start, end)
    const largest = Math.max(...group.map((file) => file.sizeBytes))
    if (group.length < least || largest > 2 * (bytes - largest)) continue
    if (files.every((other) => group.includes(other) || apart(group, other))) return group
  }
  return undefined
}

/**
 * Whether `other` stays clearly newer or older than the table that a group becomes. Always so for tables that this
 * database wrote; tables of united databases have sequence numbers that only their own origin can compare.
 */
function apart(group: readonly TableFile[], other: TableFile): boolean {
  const [smallest, largest] = keySpan(group)
  if (overlappingFiles([other], smallest, largest).length === 0) return true
  return group.every((file) => file.largestSeq < other.smallestSeq) || group.every((file) => other.largestSeq < file.smallestSeq)
}
