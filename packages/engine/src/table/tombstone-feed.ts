import type { RangeTombstones, TombstoneFragment } from '../key/range-tombstones.ts'

/** Whether no older version of any key of a range can exist outside of what is being merged. */
export type RangeIsBottommost = (start: Uint8Array, end: Uint8Array) => boolean

/**
 * What a flush or a compaction leaves of range tombstones, in key order: within a stripe between two snapshots the newest
 * one, and none that no snapshot is older than where nothing it hides can be anywhere below.
 */
export function retainedTombstones(
  tombstones: RangeTombstones,
  snapshots: readonly number[],
  isBottommost: RangeIsBottommost,
): TombstoneFragment[] {
  return [...tombstones.fragments()].flatMap(({ start, end, seqs }) => {
    const kept: number[] = []
    let newerStripe = -1
    for (const seq of seqs.toReversed()) {
      const stripe = snapshots.filter((snapshot) => snapshot < seq).length
      if (stripe === newerStripe) continue
      newerStripe = stripe
      if (stripe > 0 || !isBottommost(start, end)) kept.unshift(seq)
    }
    return kept.length === 0 ? [] : [{ start, end, seqs: kept }]
  })
}
