import { compareBytes } from '@moraine/base'

/** Deletes every version with a smaller sequence number of every user key in [start, end). */
export interface RangeTombstone {
  readonly start: Uint8Array
  /** Excluded, and above `start`. */
  readonly end: Uint8Array
  readonly seq: number
}

/** What nearly every table has; shared, so that it costs them nothing. */
export const NO_RANGE_TOMBSTONES: readonly RangeTombstone[] = Object.freeze([])

/** The order of a table: start ascending, then the newest first; the end decides between equals, for the sake of one order. */
export function compareRangeTombstones(a: RangeTombstone, b: RangeTombstone): number {
  return compareBytes(a.start, b.start) || b.seq - a.seq || compareBytes(a.end, b.end)
}

/** Whether they stand as Moraine writes them. */
export function inTableOrder(tombstones: readonly RangeTombstone[]): boolean {
  return tombstones.every((tombstone, i) => {
    const before = tombstones[i - 1]
    return before === undefined || compareRangeTombstones(before, tombstone) <= 0
  })
}

/** Objects around the bytes of a tombstone and its two keys, roughly. */
const TOMBSTONE_OVERHEAD_BYTES = 250

export function rangeTombstonesMemoryBytes(tombstones: readonly RangeTombstone[]): number {
  return tombstones.reduce((sum, { start, end }) => sum + start.byteLength + end.byteLength + TOMBSTONE_OVERHEAD_BYTES, 0)
}
