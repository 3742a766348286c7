import type { TableFile } from '../manifest/table-file.ts'
import { filesOf, levelBytes, overlappingInRun, type Version } from '../manifest/version.ts'
import { blobGarbage, garbageLinkBytes, leastShare } from './blob-garbage.ts'
import { type CompactionPlan, type CompactionSettings, keySpan, mayRun, type PickContext, planInputs } from './compaction-plan.ts'
import { levelZeroClosure } from './pick-level-zero.ts'

/** Tables that one compaction rewrites in their place at most, in sizes of an output table. */
const REWRITE_WIDTH_MOST = 8

/** What a compaction for the sake of tombstones may take in all, in sizes of an output table. */
const TOMBSTONE_WIDTH_MOST = 32

/** Entries that may be rewritten for each tombstone that meets what it hides, times the least share of tombstones. */
const REWRITTEN_PER_TOMBSTONE = 5

/**
 * The table with the largest share of tombstones (or of expired values: those are tombstones now), if that is large enough: it meets the next older data of its keys, or
 * where there is none its tombstones are dropped in place. Only tables whose tombstones can really go are picked: nothing in
 * them is newer than the oldest snapshot. So every plan moves tombstones deeper or ends them, and there is an end. A few
 * tombstones scattered over much data are not worth its rewriting; they wait until a level is too full.
 */
export function pickTombstones(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const least = settings.compactionTombstonePercent / 100
  if (least === 0) return undefined
  const { oldestSnapshot = Number.POSITIVE_INFINITY } = context
  return firstPlan(
    version,
    context,
    (file) => {
      const share = file.entryCount === 0 ? 0 : hidingCount(file, context) / file.entryCount
      return share >= least && file.largestSeq <= oldestSnapshot ? share : 0
    },
    (level, file) => planDeeper(version, 'tombstones', level, file) ?? planInPlace('tombstones', level, [file]),
    (plan) => {
      const files = plan.inputs.flatMap((input) => [...input.files])
      const deletions = files.reduce((count, file) => count + hidingCount(file, context), 0)
      const entries = files.reduce((count, file) => count + file.entryCount, 0)
      if (files.length > 1 && levelBytes(files) > TOMBSTONE_WIDTH_MOST * settings.targetFileSizeBytes) return false
      return deletions * REWRITTEN_PER_TOMBSTONE >= least * entries
    },
  )
}

/** Entries that are there only to hide others: tombstones, and what has expired, where all of a table has. */
function hidingCount({ entryCount, deletionCount, expiresAtMs }: TableFile, { ttlNowMs = Number.NEGATIVE_INFINITY }: PickContext): number {
  return expiresAtMs !== undefined && expiresAtMs <= ttlNowMs ? entryCount : deletionCount
}

/**
 * The tables that were written longest ago, if that is too long: they are rewritten where they are, neighbours of that age
 * together. What expired meanwhile, or what a filter no longer wants, leaves with it. A rewritten table is young again.
 */
export function pickAged(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const { compactionMaxAgeMs, targetFileSizeBytes } = settings
  if (compactionMaxAgeMs === 0) return undefined
  const overdueMs = (file: TableFile): number => context.nowMs - file.createdAtMs - compactionMaxAgeMs
  return firstPlan(version, context, overdueMs, (level, file) => {
    const files = version.levels[level] as readonly TableFile[]
    const group = [file]
    for (let at = files.indexOf(file) + 1; at < files.length; at++) {
      const next = files[at] as TableFile
      if (overdueMs(next) <= 0 || levelBytes(group) + next.sizeBytes > REWRITE_WIDTH_MOST * targetFileSizeBytes) break
      group.push(next)
    }
    return planInPlace('age', level, group)
  })
}

/**
 * The table that keeps the emptiest blob file, if one is empty enough, with its neighbours that keep such files as well:
 * they are rewritten where they are, and the values they have there go to new files. Every plan ends some links to files
 * that are garbage and makes none, so there is an end; a file goes when its last link has.
 */
export function pickBlobGarbage(version: Version, settings: CompactionSettings, context: PickContext): CompactionPlan | undefined {
  const garbage = blobGarbage(version, settings)
  if (garbage.size === 0) return undefined
  const mostBytes = REWRITE_WIDTH_MOST * settings.targetFileSizeBytes
  const rewrittenBytes = (file: TableFile): number => file.sizeBytes + garbageLinkBytes(file, garbage)
  return firstPlan(version, context, (file) => 1 - leastShare(file, garbage), (level, file) => {
    const files = version.levels[level] as readonly TableFile[]
    const group = [file]
    let bytes = rewrittenBytes(file)
    for (let at = files.indexOf(file) + 1; at < files.length; at++) {
      const next = files[at] as TableFile
      bytes += rewrittenBytes(next)
      if (garbageLinkBytes(next, garbage) === 0 || bytes > mostBytes) break
      group.push(next)
    }
    return planInPlace('blob-garbage', level, group)
  })
}

/**
 * When the next table has expired as a whole, in wall-clock milliseconds; undefined when none ever has. One that has by now,
 * but not for the oldest snapshot, is to be looked at again in `againMs`.
 */
export function nextExpiryAtMs(version: Version, { nowMs, ttlNowMs = nowMs }: PickContext, againMs: number): number | undefined {
  let nextMs = Number.POSITIVE_INFINITY
  for (const { expiresAtMs } of filesOf(version)) {
    if (expiresAtMs === undefined || expiresAtMs <= ttlNowMs) continue
    nextMs = Math.min(nextMs, expiresAtMs > nowMs ? expiresAtMs : nowMs + againMs)
  }
  return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs
}

/** When the next table is too old, in wall-clock milliseconds; undefined when none ever is. */
export function nextAgeAtMs(version: Version, settings: CompactionSettings): number | undefined {
  if (settings.compactionMaxAgeMs === 0) return undefined
  let oldestMs = Number.POSITIVE_INFINITY
  for (const { createdAtMs } of filesOf(version)) oldestMs = Math.min(oldestMs, createdAtMs)
  return oldestMs === Number.POSITIVE_INFINITY ? undefined : oldestMs + settings.compactionMaxAgeMs + 1
}

/** The plan of the table with the highest rank above zero that may run; the deepest and then the first of equals. */
function firstPlan(
  version: Version,
  context: PickContext,
  rank: (file: TableFile) => number,
  planFor: (level: number, file: TableFile) => CompactionPlan,
  isWorthwhile: (plan: CompactionPlan) => boolean = () => true,
): CompactionPlan | undefined {
  const ranked: { level: number; file: TableFile; at: number; rank: number }[] = []
  for (const [level, files] of version.levels.entries()) {
    for (const [at, file] of files.entries()) {
      const ranks = rank(file)
      if (ranks > 0) ranked.push({ level, file, at, rank: ranks })
    }
  }
  ranked.sort((a, b) => b.rank - a.rank || b.level - a.level || a.at - b.at)
  for (const { level, file } of ranked) {
    const plan = level === 0 ? planLevelZeroTable(version, planFor(level, file)) : planFor(level, file)
    if (isWorthwhile(plan) && mayRun(plan, context)) return plan
  }
  return undefined
}

/** A table with what it meets in the nearest deeper level that it meets at all; undefined when it meets nothing. */
function planDeeper(
  version: Version,
  reason: CompactionPlan['reason'],
  level: number,
  file: TableFile,
): CompactionPlan | undefined {
  for (let deeper = level + 1; deeper < version.levels.length; deeper++) {
    const met = overlappingInRun(version.levels[deeper] as readonly TableFile[], file.smallestKey, file.largestKey)
    if (met.length > 0) return { reason, inputs: planInputs([level, [file]], [deeper, met]), outputLevel: deeper }
  }
  return undefined
}

function planInPlace(reason: CompactionPlan['reason'], level: number, files: readonly TableFile[]): CompactionPlan {
  return { reason, inputs: planInputs([level, files]), outputLevel: level }
}

/**
 * Tables of level 0 are not rewritten in their place: the first of the plan goes down with the older ones it shares
 * keys with, into the nearest level that they meet.
 */
function planLevelZeroTable(version: Version, plan: CompactionPlan): CompactionPlan {
  const seed = plan.inputs[0]?.files[0] as TableFile
  const chosen = levelZeroClosure(version.levels[0] as readonly TableFile[], seed)
  const span = keySpan(chosen)
  for (let deeper = 1; deeper < version.levels.length; deeper++) {
    const met = overlappingInRun(version.levels[deeper] as readonly TableFile[], ...span)
    if (met.length > 0) return { reason: plan.reason, inputs: planInputs([0, chosen], [deeper, met]), outputLevel: deeper }
  }
  return { reason: plan.reason, inputs: planInputs([0, chosen]), outputLevel: 1 }
}
