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

/** The keys that are in both ranges. */
export function intersectRanges(a: KeyRange, b: KeyRange): KeyRange {
  const gte = a.gte === undefined ? b.gte : b.gte === undefined || compareBytes(a.gte, b.gte) >= 0 ? a.gte : b.gte
  const lt = a.lt === undefined ? b.lt : b.lt === undefined || compareBytes(a.lt, b.lt) <= 0 ? a.lt : b.lt
  return { gte, lt }
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
