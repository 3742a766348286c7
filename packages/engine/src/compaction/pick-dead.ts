import { compareBytes } from '@moraine/base'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import { endsBefore, precedes, type TableFile } from '../manifest/table-file.ts'
import { overlappingInRun, type Version } from '../manifest/version.ts'
import { type CompactionPlan, mayRun, type PickContext } from './compaction-plan.ts'

/**
 * The tables of which nobody can see anything any more, now or later. They leave the version in one commit, unread: what
 * one call has deleted comes back as space whatever its size, and so does what has expired, without anybody asking.
 *
 * - A table that range tombstones of one newer table cover as a whole, when no snapshot is older than they are. They stay
 *   where they are and go on hiding whatever else they hide.
 * - A table whose every value has expired, when no older table has keys in common with it: then its values hide nothing,
 *   and neither do its tombstones.
 *
 * Every plan takes tables away, so there is an end.
 */
export function pickDead(version: Version, context: PickContext): CompactionPlan | undefined {
  const dead = new Set<TableFile>()
  for (const place of holders(version)) {
    const tombstones = context.tombstonesOf?.(place.file)
    if (tombstones === undefined) continue
    for (const file of olderMet(version, place)) if (isCovered(file, place.file, tombstones, context)) dead.add(file)
  }
  const { ttlNowMs = Number.NEGATIVE_INFINITY } = context
  for (const [level, files] of version.levels.entries()) {
    for (const file of files) {
      const expired = file.expiresAtMs !== undefined && file.expiresAtMs <= ttlNowMs
      if (expired && olderMet(version, { level, file }).length === 0) dead.add(file)
    }
  }
  if (dead.size === 0) return undefined
  const inputs = version.levels
    .map((files, level) => ({ level, files: files.filter((file) => dead.has(file)) }))
    .filter(({ files }) => files.length > 0)
  const plan: CompactionPlan = { reason: 'dead', inputs, outputLevel: inputs.at(-1)?.level ?? 0 }
  return mayRun(plan, context) ? plan : undefined
}

/** The tables whose range tombstones `pickDead` would have to know to say more: those that seem to cover a whole older table. */
export function tombstonesWanted(version: Version, context: PickContext): TableFile[] {
  return holders(version)
    .filter((place) => context.tombstonesOf?.(place.file) === undefined)
    .filter((place) => olderMet(version, place).some((older) => older.largestSeq < place.file.largestSeq && isWithin(older, place.file)))
    .map(({ file }) => file)
}

/** A table, and where it stands. */
interface Place {
  readonly level: number
  readonly file: TableFile
}

function holders(version: Version): Place[] {
  return version.levels.flatMap((files, level) =>
    files.filter((file) => file.rangeTombstoneCount !== undefined).map((file) => ({ level, file })),
  )
}

/** The tables in older places whose keys may meet those of a table. */
function olderMet(version: Version, { level, file }: Place): TableFile[] {
  const [levelZero, ...runs] = version.levels as [readonly TableFile[], ...(readonly TableFile[])[]]
  const besides = level > 0 ? [] : levelZero.slice(levelZero.indexOf(file) + 1)
  const deeper = runs.slice(level).flatMap((run) => overlappingInRun(run, file.smallestKey, file.largestKey))
  return [...besides, ...deeper].filter((other) => !precedes(file, other) && !precedes(other, file))
}

/** Whether the tombstones of a newer table delete every entry of `file`, for the present and for every snapshot. */
function isCovered(file: TableFile, by: TableFile, tombstones: RangeTombstones, { oldestSnapshot }: PickContext): boolean {
  if (!isWithin(file, by)) return false
  const { smallestKey, largestSeq } = file
  for (let fragment = tombstones.fragmentOf(smallestKey, 0, smallestKey.length); ; fragment++) {
    if (tombstones.newestSeq(fragment, oldestSnapshot ?? Number.POSITIVE_INFINITY) <= largestSeq) return false
    const end = tombstones.endOf(fragment)
    if (end === undefined) return false
    if (endsBefore(file, end, 0, end.length)) return true
  }
}

/** Whether all keys of a table lie between the first and the last one of another. */
function isWithin(file: TableFile, other: TableFile): boolean {
  if (compareBytes(file.smallestKey, other.smallestKey) < 0) return false
  const order = compareBytes(file.largestKey, other.largestKey)
  if (order !== 0) return order < 0
  return endsBefore(file, file.largestKey, 0, file.largestKey.length) || !endsBefore(other, other.largestKey, 0, other.largestKey.length)
}
