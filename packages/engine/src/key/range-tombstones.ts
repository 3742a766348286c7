import { compareBytes, compareRanges } from '@moraine/base'

/** Deletes every version with a smaller sequence number of the keys in `[start, end)`. */
export interface RangeTombstone {
  readonly start: Uint8Array
  readonly end: Uint8Array
  readonly seq: number
}

/** A part of the key space in which the same tombstones count. */
export interface TombstoneFragment {
  readonly start: Uint8Array
  readonly end: Uint8Array
  /** Their sequence numbers, ascending; never empty. */
  readonly seqs: readonly number[]
}

/**
 * Range tombstones cut where any of them begins or ends, so that a key lies in at most one fragment:
 *
 *     given      |--- 7 ---------|                 bounds   a     c     f     k
 *                      |--- 9 ---------|           seqs     [7]   [7,9] [9]   []
 *                a     c         f     k
 *
 * Adding costs a binary search and, for each bound inside of the new tombstone, one number; asking costs two binary
 * searches. Nothing is ever taken out.
 */
export class RangeTombstones {
  /** Ascending and distinct. Fragment i is `[bounds[i], bounds[i + 1])`; the last bound begins none. */
  readonly #bounds: Uint8Array[] = []
  readonly #seqs: number[][] = []
  #count = 0
  #keyBytes = 0
  /** Sequence numbers in all fragments: with ranges within ranges the square of the tombstones. */
  #cells = 0

  static of(tombstones: Iterable<RangeTombstone>): RangeTombstones {
    const all = new RangeTombstones()
    for (const { start, end, seq } of tombstones) all.add(start, end, seq)
    return all
  }

  /** How many were added. */
  get count(): number {
    return this.#count
  }

  /** Memory held, roughly. */
  get memoryBytes(): number {
    return this.#keyBytes + this.#bounds.length * 160 + this.#cells * 8
  }

  /** Keeps both arrays. */
  add(start: Uint8Array, end: Uint8Array, seq: number): void {
    if (compareBytes(start, end) >= 0) return
    const first = this.#cut(start)
    const last = this.#cut(end)
    for (let i = first; i < last; i++) insertSorted(this.#seqs[i] as number[], seq)
    this.#cells += last - first
    this.#count++
  }

  /** The largest sequence number of at most `maxSeq` that deletes the key; 0 when there is none. */
  coveringSeq(key: Uint8Array, keyStart: number, keyEnd: number, maxSeq: number): number {
    const at = this.fragmentOf(key, keyStart, keyEnd)
    return at < 0 ? 0 : this.newestSeq(at, maxSeq)
  }

  /** The smallest sequence number above `seq` that deletes the key; 0 when there is none. */
  nextSeqAbove(key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const at = this.fragmentOf(key, keyStart, keyEnd)
    if (at < 0) return 0
    const seqs = this.#seqs[at] as number[]
    return seqs[firstAbove(seqs, seq)] ?? 0
  }

  /**
   * The gap or fragment that the key lies in: the number of the last bound at or before it, -1 before the first one. Ask
   * `newestSeq` whether anything deletes there.
   */
  fragmentOf(key: Uint8Array, keyStart: number, keyEnd: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const bound = bounds[middle] as Uint8Array
      if (compareRanges(bound, 0, bound.length, key, keyStart, keyEnd) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Of a fragment: its newest sequence number of at most `maxSeq`, or 0. */
  newestSeq(fragment: number, maxSeq: number): number {
    const seqs = this.#seqs[fragment]
    if (seqs === undefined) return 0
    const last = seqs.at(-1)
    if (last === undefined || last <= maxSeq) return last ?? 0
    return seqs[firstAbove(seqs, maxSeq) - 1] ?? 0
  }

  /** Where a fragment begins; undefined before the first one. */
  startOf(fragment: number): Uint8Array | undefined {
    return this.#bounds[fragment]
  }

  /** Where a fragment ends; undefined after the last one. */
  endOf(fragment: number): Uint8Array | undefined {
    return this.#bounds[fragment + 1]
  }

  /** In key order, without gaps in between that nothing deletes in. */
  *fragments(): Generator<TombstoneFragment, void, undefined> {
    for (const [i, seqs] of this.#seqs.entries()) {
      const end = this.#bounds[i + 1]
      if (end !== undefined && seqs.length > 0) yield { start: this.#bounds[i] as Uint8Array, end, seqs }
    }
  }

  /** One tombstone for each fragment and sequence number. */
  list(): RangeTombstone[] {
    return [...this.fragments()].flatMap(({ start, end, seqs }) => seqs.map((seq) => ({ start, end, seq })))
  }

  /** The number of the bound `key`, which is made when it is not there. */
  #cut(key: Uint8Array): number {
    const at = this.fragmentOf(key, 0, key.length)
    const before = this.#bounds[at]
    if (before !== undefined && compareBytes(before, key) === 0) return at
    this.#bounds.splice(at + 1, 0, key)
    const seqs = [...(this.#seqs[at] ?? [])]
    this.#seqs.splice(at + 1, 0, seqs)
    this.#cells += seqs.length
    this.#keyBytes += key.length
    return at + 1
  }
}

/** The place of the first number above `seq`. */
function firstAbove(seqs: readonly number[], seq: number): number {
  let low = 0
  let high = seqs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((seqs[middle] as number) <= seq) low = middle + 1
    else high = middle
  }
  return low
}

function insertSorted(seqs: number[], seq: number): void {
  const last = seqs.at(-1)
  if (last === undefined || last < seq) seqs.push(seq)
  else {
    const at = firstAbove(seqs, seq)
    if (seqs[at - 1] !== seq) seqs.splice(at, 0, seq)
  }
}
