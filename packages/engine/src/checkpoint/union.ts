import { compareBytes, MoraineError, printableBytes } from '@moraine/base'
import { DEFAULT_KEYSPACE, isInKeyspace, keyspaceOf, keyspacePrefix } from '../key/keyspace.ts'
import { type KeyspaceRecord, uniteKeyspaces } from '../manifest/keyspace-record.ts'
import { originKey } from '../manifest/origin.ts'
import { endsBefore, type TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, type Version } from '../manifest/version.ts'
import { type PinNeed, type Projection, rangeInKeyspace } from './projection.ts'

/** What a clone begins with. */
export interface ClonePlan {
  readonly version: Version
  /** The clone's first write comes after this number. */
  readonly lastSeq: number
  readonly needs: readonly PinNeed[]
  readonly keyspaces: readonly KeyspaceRecord[]
  readonly ttlNowMs: number
}

/**
 * Puts projections together to one database. Pure; INVALID when two of them may hold the same key, or mean different
 * things by the same keyspace.
 *
 * The sequence numbers of different databases count different histories, so they are never compared, and need not be:
 *
 * - All versions of one key come from one source, because the key ranges are disjoint; they keep their numbers, their
 *   levels and their order in level 0. Tables of level 0 from different sources share no keys, so their mutual order
 *   means nothing.
 * - The clone's own writes begin above the greatest number of all sources: they are newer than whatever they meet.
 * - Everything borrowed counts as flushed, and every snapshot of the clone is taken at or above that number: it sees
 *   all that was borrowed, and for retention all of it is older than the oldest snapshot.
 */
export function unite(projections: readonly Projection[]): ClonePlan {
  const clash = overlap(projections)
  if (clash !== undefined) throw clash
  const levels = Array.from({ length: LEVEL_COUNT }, (_, level) => {
    const files = joinParts(projections.flatMap((projection) => projection.levels[level] as readonly TableFile[]))
    // The order in which every reader of the manifest will put them.
    if (level === 0) return files.sort((a, b) => b.largestSeq - a.largestSeq)
    return files.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
  })
  const needs = new Map<string, PinNeed>()
  for (const need of projections.flatMap((projection) => projection.needs)) {
    const key = needKey(need)
    if (!needs.has(key)) needs.set(key, need)
  }
  return {
    version: { levels },
    lastSeq: Math.max(0, ...projections.map(({ lastSeq }) => lastSeq)),
    needs: [...needs.values()],
    keyspaces: uniteKeyspaces(projections.map(({ keyspaces }) => keyspaces)),
    ttlNowMs: Math.max(0, ...projections.map(({ ttlNowMs }) => ttlNowMs)),
  }
}

/** Equal for the same manifest of the same origin: one pin serves both. */
export function needKey({ origin, manifestId }: Pick<PinNeed, 'origin' | 'manifestId'>): string {
  return `${originKey(origin)} ${manifestId}`
}

/** Parts of one table that lie side by side become one part again: splitting and uniting leaves no splinters. */
function joinParts(files: readonly TableFile[]): TableFile[] {
  const byTable = new Map<string, TableFile[]>()
  for (const file of files) {
    const parts = byTable.get(file.id)
    if (parts === undefined) byTable.set(file.id, [file])
    else parts.push(file)
  }
  return [...byTable.values()].flatMap((parts) => {
    if (parts.length === 1) return parts
    parts.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
    const joined: TableFile[] = []
    for (const part of parts) {
      const previous = joined.at(-1)
      const together = previous === undefined ? undefined : join(previous, part)
      if (together === undefined) joined.push(part)
      else joined[joined.length - 1] = together
    }
    return joined
  })
}

function join(left: TableFile, right: TableFile): TableFile | undefined {
  const end = left.range?.lt
  const start = right.range?.gte
  if (end === undefined || start === undefined || compareBytes(end, start) !== 0) return undefined
  const gte = left.range?.gte
  const lt = right.range?.lt
  const range = gte === undefined && lt === undefined ? undefined : { gte, lt }
  return { ...right, smallestKey: left.smallestKey, range }
}

interface Extent {
  readonly name: string
  readonly gte: Uint8Array | undefined
  /** The upper bound; undefined for none. */
  readonly end: Uint8Array | undefined
  /** Whether a key equal to `end` may be there. */
  readonly endIncluded: boolean
}

/** The first two projections that may hold the same key, as an error. */
function overlap(projections: readonly Projection[]): MoraineError | undefined {
  const prefixes = new Map([[DEFAULT_KEYSPACE, new Uint8Array(0)]])
  for (const { levels } of projections) {
    for (const { smallestKey } of levels.flat()) {
      const name = keyspaceOf(smallestKey)
      if (!prefixes.has(name)) prefixes.set(name, keyspacePrefix(name) as Uint8Array<ArrayBuffer>)
    }
  }
  for (const prefix of prefixes.values()) {
    const clash = overlapIn(prefix, projections)
    if (clash !== undefined) return clash
  }
  return undefined
}

/** Likewise, of the keyspace with this prefix. */
function overlapIn(prefix: Uint8Array, projections: readonly Projection[]): MoraineError | undefined {
  const extents = projections.map((projection) => extentOf(projection, prefix)).filter((extent) => extent !== undefined)
  extents.sort((a, b) => compareStarts(a, b))
  for (const [i, next] of extents.entries()) {
    const previous = extents[i - 1]
    if (previous === undefined || ends(previous, next)) continue
    return new MoraineError(
      'INVALID',
      `the keys of ${previous.name} (${spelled(previous)}) and of ${next.name} (${spelled(next)}) overlap: databases are united only when no key can be in two of them; give each source a range of its own`,
      { detail: { first: previous.name, second: next.name } },
    )
  }
  return undefined
}

/** The declared range, or else from the first key to the last; undefined when there is nothing. */
function extentOf(projection: Projection, prefix: Uint8Array): Extent | undefined {
  const { name, range } = projection
  if (range !== undefined) {
    const { gte, lt } = rangeInKeyspace(range, prefix)
    return { name, gte, end: lt, endIncluded: false }
  }
  const files = projection.levels.flat().filter(({ smallestKey }) => isInKeyspace(prefix, smallestKey, 0, smallestKey.length))
  let first: TableFile | undefined
  let last: TableFile | undefined
  for (const file of files) {
    if (first === undefined || compareBytes(file.smallestKey, first.smallestKey) < 0) first = file
    if (last === undefined || lastsLonger(file, last)) last = file
  }
  if (first === undefined || last === undefined) return undefined
  const { largestKey } = last
  const endIncluded = !endsBefore(last, largestKey, 0, largestKey.length)
  return { name, gte: first.smallestKey, end: largestKey, endIncluded }
}

function lastsLonger(file: TableFile, than: TableFile): boolean {
  const order = compareBytes(file.largestKey, than.largestKey)
  return order > 0 || (order === 0 && endsBefore(than, file.largestKey, 0, file.largestKey.length))
}

function compareStarts(a: Extent, b: Extent): number {
  if (a.gte === undefined || b.gte === undefined) return a.gte === b.gte ? 0 : a.gte === undefined ? -1 : 1
  return compareBytes(a.gte, b.gte)
}

/** True when `left` ends before `right` starts. */
function ends(left: Extent, right: Extent): boolean {
  if (left.end === undefined) return false
  const order = compareBytes(left.end, right.gte ?? EMPTY)
  return order < 0 || (order === 0 && !left.endIncluded)
}

function spelled({ gte, end, endIncluded }: Extent): string {
  const from = gte === undefined ? 'the first key' : `'${printableBytes(gte, 48)}'`
  if (end === undefined) return `from ${from} on`
  return `from ${from} ${endIncluded ? 'to' : 'up to but not'} '${printableBytes(end, 48)}'`
}

const EMPTY = new Uint8Array(0)
