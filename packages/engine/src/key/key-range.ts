import { compareBytes, prefixSuccessor } from '@moraine/base'

/** A half-open range of keys, `[gte, lt)`; a missing side is unbounded. */
export interface KeyRange {
  readonly gte?: Uint8Array | undefined
  readonly lt?: Uint8Array | undefined
}

export const ALL_KEYS: KeyRange = {}

/** The smallest key greater than `key`: the same bytes and a zero. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1)
  after.set(key)
  return after
}

/** The keys that start with `prefix`. */
export function prefixRange(prefix: Uint8Array): KeyRange {
  return { gte: prefix, lt: prefixSuccessor(prefix) }
}

/** The later of two lower bounds, where a missing one is before every key. */
export function laterBound(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareBytes(a, b) >= 0 ? a : b
}

/** The earlier of two upper bounds, where a missing one is after every key. */
export function earlierBound(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareBytes(a, b) <= 0 ? a : b
}

/** The keys that are in both ranges. */
export function intersectRanges(a: KeyRange, b: KeyRange): KeyRange {
  return { gte: laterBound(a.gte, b.gte), lt: earlierBound(a.lt, b.lt) }
}

/** True when no key can be in the range. */
export function isEmptyRange(range: KeyRange): boolean {
  if (range.lt === undefined) return false
  if (range.lt.length === 0) return true
  return range.gte !== undefined && compareBytes(range.gte, range.lt) >= 0
}

/** True when a table that spans `smallest` to `largest` (both included) may hold keys of the range. */
export function rangeTouches(range: KeyRange, smallest: Uint8Array, largest: Uint8Array): boolean {
  if (range.gte !== undefined && compareBytes(largest, range.gte) < 0) return false
  if (range.lt !== undefined && compareBytes(smallest, range.lt) >= 0) return false
  return true
}
