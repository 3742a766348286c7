import { compareBytes, compareRanges } from '@moraine/base'
import { earlierBound, type KeyRange, laterBound } from '../key/key-range.ts'
import type { FileId } from '../layout/object-names.ts'
import type { BlobLink } from './blob-link.ts'
import type { Origin } from './origin.ts'

/**
 * What a version knows of one sorted table without opening it: enough to find it, to check that the object is the
 * one that was written (size and checksum of its tail), to open it with one ranged GET (where its tail starts), and to
 * decide whether a read or a compaction needs it at all.
 */
export interface TableFile {
  readonly id: FileId
  readonly sizeBytes: number
  /** Where the metadata at the end of the file begins. */
  readonly tailOffset: number
  /** CRC-32C of the bytes from `tailOffset` to the end. */
  readonly tailCrc32c: number
  readonly entryCount: number
  readonly deletionCount: number
  /**
   * Bounds of the user keys that count: both are included, but for a table restricted by `range`, whose `largestKey` is
   * excluded when it equals `range.lt`, and for one that says `largestKeyExcluded`.
   */
  readonly smallestKey: Uint8Array
  readonly largestKey: Uint8Array
  readonly smallestSeq: number
  readonly largestSeq: number
  /** User keys and values before compression, in bytes. */
  readonly rawBytes: number
  /** Wall-clock milliseconds since the Unix epoch; for display, and for when a table is old enough to be rewritten. */
  readonly createdAtMs: number
  /** Range tombstones among the entries; `smallestKey` and `largestKey` cover their ranges. Absent: none. */
  readonly rangeTombstoneCount?: number | undefined
  /** `largestKey` is the end of a range tombstone: no key of the table equals it. */
  readonly largestKeyExcluded?: boolean | undefined
  /** Every put and merge begins with an envelope: `batch/envelope.ts`. */
  readonly enveloped?: boolean | undefined
  /** From this wall-clock millisecond on no entry of the table is to be seen; absent when some never expire. */
  readonly expiresAtMs?: number | undefined
  /** The blob files that hold values of the table; absent: none. */
  readonly blobs?: readonly BlobLink[] | undefined
  /** The database that wrote the table; undefined for this one. */
  readonly origin?: Origin | undefined
  /** Only these keys of the table belong to the version; the others are not to be seen. */
  readonly range?: KeyRange | undefined
}

/** The part of the key space that a table may hold keys of. */
export type KeySpan = Pick<TableFile, 'smallestKey' | 'largestKey' | 'largestKeyExcluded' | 'range'>

/** True when every key of the table lies before `key[keyStart, keyEnd)`. */
export function endsBefore(file: KeySpan, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
  const { largestKey } = file
  const order = compareRanges(largestKey, 0, largestKey.length, key, keyStart, keyEnd)
  if (order !== 0) return order < 0
  return largestKeyExcluded(file)
}

/** True when every key of the table lies after `key[keyStart, keyEnd)`. */
export function startsAfter(file: KeySpan, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
  return compareRanges(file.smallestKey, 0, file.smallestKey.length, key, keyStart, keyEnd) > 0
}

/** True when `a` ends before `b` starts. */
export function precedes(a: KeySpan, b: KeySpan): boolean {
  return endsBefore(a, b.smallestKey, 0, b.smallestKey.length)
}

/** The table restricted to a range, on top of any restriction it has; undefined when nothing of it is left. */
export function restrictFile(file: TableFile, range: KeyRange): TableFile | undefined {
  const gte = laterBound(file.range?.gte, range.gte)
  const lt = earlierBound(file.range?.lt, range.lt)
  const smallestKey = laterBound(file.smallestKey, gte) as Uint8Array
  const cut = lt !== undefined && compareBytes(file.largestKey, lt) >= 0
  const largestKey = cut ? lt : file.largestKey
  const order = compareBytes(smallestKey, largestKey)
  if (order > 0 || (order === 0 && (cut || file.largestKeyExcluded === true))) return undefined
  // The same object when nothing is lost: whoever compares parts of tables compares objects.
  if (smallestKey === file.smallestKey && (!cut || lt === file.range?.lt)) return file
  return { ...file, smallestKey, largestKey, range: { gte, lt } }
}

function largestKeyExcluded(file: KeySpan): boolean {
  if (file.largestKeyExcluded === true) return true
  const lt = file.range?.lt
  return lt !== undefined && compareBytes(lt, file.largestKey) === 0
}
