import { EntryKind } from '@moraine/sstable'

/**
 * Which versions of a key a flush or a compaction keeps. Versions of one key are offered newest first.
 *
 * Snapshots cut the sequence numbers into stripes: (-, s1], (s1, s2], ..., (sn, now]. Within a stripe nobody can see
 * more than the newest version, so the others go. A tombstone goes when nothing it hides can be anywhere below
 * (`bottommost`) and no snapshot is older than it; everything it hid in this merge is in the same stripe and goes, too.
 */
export class Retention {
  readonly #snapshots: readonly number[]
  #previousStripe = NO_STRIPE

  /** @param snapshots sequence numbers that must stay readable, ascending. */
  constructor(snapshots: readonly number[]) {
    this.#snapshots = snapshots
  }

  /** Call before the first version of each key. */
  startKey(): void {
    this.#previousStripe = NO_STRIPE
  }

  /** @param bottommost whether no older version of this key can exist outside this merge. */
  keeps(seq: number, kind: number, bottommost: boolean): boolean {
    const stripe = this.#stripeOf(seq)
    if (stripe === this.#previousStripe) return false
    this.#previousStripe = stripe
    return !(kind === EntryKind.delete && bottommost && stripe === 0)
  }

  /** Index of the first snapshot that can see the version; the number of snapshots when only the present can. */
  #stripeOf(seq: number): number {
    const snapshots = this.#snapshots
    let stripe = 0
    while (stripe < snapshots.length && (snapshots[stripe] as number) < seq) stripe++
    return stripe
  }
}

const NO_STRIPE = -1
