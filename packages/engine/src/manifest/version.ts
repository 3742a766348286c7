import { compareBytes, MoraineError, toHex } from '@moraine/base'
import type { KeyRange } from '../key/key-range.ts'
import { keyspaceOf } from '../key/keyspace.ts'
import { endsBefore, precedes, type TableFile } from './table-file.ts'
import type { VersionEdit } from './version-edit.ts'

/** Levels of a version: level 0 and the sorted runs 1 to 6. */
export const LEVEL_COUNT = 7

/**
 * The tables of a database at one moment; immutable. Level 0 holds flushed memtables, newest first, whose key ranges may
 * overlap; every other level is one sorted run, ordered by key and without overlap. For any key, whatever stands in
 * an earlier place (an earlier table of level 0, a lower level) is newer than what stands in a later one.
 */
export interface Version {
  readonly levels: readonly (readonly TableFile[])[]
}

export const EMPTY_VERSION: Version = { levels: Array.from({ length: LEVEL_COUNT }, () => []) }

/**
 * Versions that were checked, or that an edit checked for itself made out of one that was: a commit at 100,000 tables must
 * not look at all of them again.
 */
const sound = new WeakSet<Version>()

/** The version after an edit. INTERNAL when a table that is to leave is not there. */
export function applyEdit(version: Version, edit: VersionEdit): Version {
  const levels = version.levels.map((files, level) => {
    const removed = new Set(edit.removed.filter((entry) => entry.level === level).map((entry) => entry.file))
    const added = edit.added.filter((entry) => entry.level === level).map((entry) => entry.file)
    const kept = removed.size === 0 ? files : files.filter((file) => !removed.has(file))
    if (kept.length + removed.size !== files.length) {
      throw new MoraineError('INTERNAL', `an edit removes tables from level ${level} that are not there`)
    }
    if (added.length === 0) return kept
    if (level === 0) return [...kept, ...added].sort((a, b) => b.largestSeq - a.largestSeq)
    return insertedIntoRun(kept, added)
  })
  const edited: Version = { levels }
  if (sound.has(version) && editDefect(edited, edit) === undefined) sound.add(edited)
  return edited
}

/** A sorted run with a few tables more: only their places are searched. */
function insertedIntoRun(run: readonly TableFile[], added: readonly TableFile[]): TableFile[] {
  const merged: TableFile[] = []
  let from = 0
  for (const file of added.toSorted((a, b) => compareBytes(a.smallestKey, b.smallestKey))) {
    const place = placeInRun(run, file.smallestKey, from)
    for (; from < place; from++) merged.push(run[from] as TableFile)
    merged.push(file)
  }
  for (; from < run.length; from++) merged.push(run[from] as TableFile)
  return merged
}

/** The first place from `low` on whose table starts after `key`. */
function placeInRun(run: readonly TableFile[], key: Uint8Array, low: number): number {
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes((run[middle] as TableFile).smallestKey, key) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What an edit of a sound version broke, if anything: taking tables away breaks nothing, so only the added ones count. */
function editDefect(edited: Version, { added }: VersionEdit): string | undefined {
  const addedIds = new Map<string, number>()
  for (const { level, file } of added) {
    const files = edited.levels[level] as readonly TableFile[]
    const defect = fileDefect(file)
    if (defect !== undefined) return defect
    addedIds.set(file.id, (addedIds.get(file.id) ?? 0) + 1)
    if (level === 0) continue
    const place = placeInRun(files, file.smallestKey, 0) - 1
    const [before, after] = [files[place - 1], files[place + 1]]
    if (files[place] !== file) return 'is not in order'
    if ((before !== undefined && !precedes(before, file)) || (after !== undefined && !precedes(file, after))) return 'overlaps'
  }
  if (addedIds.size > 0) {
    for (const file of filesOf(edited)) {
      const expected = addedIds.get(file.id)
      if (expected === undefined) continue
      // Parts of one table: for the whole check.
      if (expected === 0) return `names table ${file.id} again`
      addedIds.set(file.id, expected - 1)
    }
  }
  return levelZeroDefect(edited.levels[0] as readonly TableFile[])
}

/** The first broken invariant of a version in words, or undefined when it is sound. Run before commit and after decode. */
export function versionDefect(version: Version): string | undefined {
  if (sound.has(version)) return undefined
  const defect = wholeDefect(version)
  if (defect === undefined) sound.add(version)
  return defect
}

function wholeDefect(version: Version): string | undefined {
  if (version.levels.length !== LEVEL_COUNT) return `has ${version.levels.length} levels instead of ${LEVEL_COUNT}`
  const seen = new Set<string>()
  for (const [level, files] of version.levels.entries()) {
    let previous: TableFile | undefined
    for (const file of files) {
      // Two parts of one table may come back together when a database that was split is united again.
      const part = file.range === undefined ? file.id : `${file.id} from ${toHex(file.smallestKey)}`
      if (seen.has(part)) return `names table ${part} twice`
      seen.add(part)
      const defect = fileDefect(file)
      if (defect !== undefined) return defect
      if (previous !== undefined) {
        if (level > 0 && !precedes(previous, file)) {
          return `level ${level} tables ${previous.id} and ${file.id} overlap in keys`
        }
      }
      previous = file
    }
  }
  return levelZeroDefect(version.levels[0] as readonly TableFile[])
}

function fileDefect(file: TableFile): string | undefined {
  if (compareBytes(file.smallestKey, file.largestKey) > 0) return `table ${file.id} ends before it starts`
  if (file.smallestSeq > file.largestSeq) return `table ${file.id} has its sequence range upside down`
  if (file.tailOffset >= file.sizeBytes) return `table ${file.id} has its tail past its end`
  return undefined
}

/**
 * Tables of level 0 that share keys must be ordered by their sequence numbers. Those that share none may come from
 * different origins, whose sequence numbers are never compared.
 */
function levelZeroDefect(files: readonly TableFile[]): string | undefined {
  for (const [i, newer] of files.entries()) {
    for (let j = i + 1; j < files.length; j++) {
      const older = files[j] as TableFile
      if (older.largestSeq >= newer.smallestSeq && !precedes(older, newer) && !precedes(newer, older)) {
        return `level 0 tables ${newer.id} and ${older.id} overlap in keys and in sequence`
      }
    }
  }
  return undefined
}

export function* filesOf(version: Version): Generator<TableFile> {
  for (const files of version.levels) yield* files
}

export function countFiles(version: Version): number {
  return version.levels.reduce((count, files) => count + files.length, 0)
}

export function levelBytes(files: readonly TableFile[]): number {
  return files.reduce((bytes, file) => bytes + file.sizeBytes, 0)
}

/**
 * How many tables of level 0 a read of one key may have to look into, at most: a flush writes a table for each keyspace, and
 * tables of other keyspaces are in nobody's way.
 */
export function levelZeroDepth(files: readonly TableFile[]): number {
  const depths = new Map<string, number>()
  for (const { smallestKey } of files) {
    const keyspace = keyspaceOf(smallestKey)
    depths.set(keyspace, (depths.get(keyspace) ?? 0) + 1)
  }
  return Math.max(0, ...depths.values())
}

/** Index of the first table of a sorted run that does not end before the key; the run's length when there is none. */
export function findInRun(files: readonly TableFile[], key: Uint8Array, keyStart = 0, keyEnd: number = key.length): number {
  let low = 0
  let high = files.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endsBefore(files[middle] as TableFile, key, keyStart, keyEnd)) low = middle + 1
    else high = middle
  }
  return low
}

/** The tables of a sorted run that may hold keys of a range; found by bisection. */
export function touchingInRun(files: readonly TableFile[], { gte, lt }: KeyRange): readonly TableFile[] {
  const first = gte === undefined ? 0 : findInRun(files, gte)
  let end = first
  let high = files.length
  while (end < high) {
    const middle = (end + high) >>> 1
    if (lt === undefined || compareBytes((files[middle] as TableFile).smallestKey, lt) < 0) end = middle + 1
    else high = middle
  }
  return first === 0 && end === files.length ? files : files.slice(first, end)
}

/** Like `overlappingFiles`, of one sorted run: found by halving, because deep levels hold tens of thousands of tables. */
export function overlappingInRun(files: readonly TableFile[], smallest: Uint8Array, largest: Uint8Array): TableFile[] {
  const start = findInRun(files, smallest)
  let end = start
  while (end < files.length && compareBytes((files[end] as TableFile).smallestKey, largest) <= 0) end++
  return files.slice(start, end)
}

/** The tables of a level that may hold keys from `smallest` to `largest`, both included; undefined bounds are open. */
export function overlappingFiles(
  files: readonly TableFile[],
  smallest: Uint8Array | undefined,
  largest: Uint8Array | undefined,
): TableFile[] {
  return files.filter(
    (file) =>
      (smallest === undefined || compareBytes(file.largestKey, smallest) >= 0) &&
      (largest === undefined || compareBytes(file.smallestKey, largest) <= 0),
  )
}
