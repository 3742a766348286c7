import { compareRanges } from '@moraine/base'
import { comparePrefix, keyHead, sharedLength } from './key-heads.ts'

/**
 * An entry of a block is a row of integers: start and end of its user key in `keyBytes`, start and end of its value in
 * `valueBytes`, the low 32 bits of its sequence number, and the other 21 bits with the kind above them (<< 24).
 */
export const ROW_INTEGERS = 6
const KEY_START = 0
const KEY_END = 1
const VALUE_START = 2
const VALUE_END = 3
const SEQ_LOW = 4
const SEQ_HIGH_AND_KIND = 5
const SEQ_HIGH_MASK = 0x1f_ffff
const KIND_SHIFT = 24

/** Objects around the arrays, roughly. */
const BLOCK_OVERHEAD_BYTES = 600

/**
 * A data block, decoded: entries in internal order with random access. Immutable and self-contained: it holds on to no
 * bytes but its own, so that a cache can account for it.
 */
export class DataBlock {
  readonly entryCount: number
  readonly memoryBytes: number
  /** User keys; a key that occurs in several versions is usually stored once. */
  readonly keyBytes: Uint8Array
  readonly valueBytes: Uint8Array
  readonly #rows: Int32Array
  /** One per entry, behind the prefix that all keys share; see keyHead. */
  readonly #heads: Int32Array
  readonly #prefixLength: number

  /** Keeps its arguments, which are of exactly their size. `rows` is in internal order. */
  constructor(keyBytes: Uint8Array, valueBytes: Uint8Array, rows: Int32Array) {
    const count = rows.length / ROW_INTEGERS
    this.entryCount = count
    this.keyBytes = keyBytes
    this.valueBytes = valueBytes
    this.#rows = rows
    const last = rows.length - ROW_INTEGERS
    const prefixLength =
      count === 0
        ? 0
        : sharedLength(
            keyBytes,
            rows[KEY_START] as number,
            rows[KEY_END] as number,
            keyBytes,
            rows[last + KEY_START] as number,
            rows[last + KEY_END] as number,
          )
    const heads = new Int32Array(count)
    for (let i = 0, row = 0; i < count; i++, row += ROW_INTEGERS) {
      heads[i] = keyHead(keyBytes, (rows[row + KEY_START] as number) + prefixLength, rows[row + KEY_END] as number)
    }
    this.#heads = heads
    this.#prefixLength = prefixLength
    this.memoryBytes =
      keyBytes.byteLength + valueBytes.byteLength + rows.byteLength + heads.byteLength + BLOCK_OVERHEAD_BYTES
  }

  keyStart(i: number): number {
    return this.#rows[i * ROW_INTEGERS + KEY_START] as number
  }

  keyEnd(i: number): number {
    return this.#rows[i * ROW_INTEGERS + KEY_END] as number
  }

  valueStart(i: number): number {
    return this.#rows[i * ROW_INTEGERS + VALUE_START] as number
  }

  valueEnd(i: number): number {
    return this.#rows[i * ROW_INTEGERS + VALUE_END] as number
  }

  seq(i: number): number {
    const row = i * ROW_INTEGERS
    const high = (this.#rows[row + SEQ_HIGH_AND_KIND] as number) & SEQ_HIGH_MASK
    return high * 0x1_0000_0000 + ((this.#rows[row + SEQ_LOW] as number) >>> 0)
  }

  kind(i: number): number {
    return (this.#rows[i * ROW_INTEGERS + SEQ_HIGH_AND_KIND] as number) >>> KIND_SHIFT
  }

  /** The first entry at or after (key, seq) in internal order; entryCount when there is none. */
  find(key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const count = this.entryCount
    if (count === 0) return 0
    const rows = this.#rows
    const keyBytes = this.keyBytes
    const prefixLength = this.#prefixLength
    const side = comparePrefix(keyBytes, rows[KEY_START] as number, prefixLength, key, keyStart, keyEnd)
    if (side !== 0) return side > 0 ? 0 : count

    const rest = keyStart + prefixLength
    const head = keyHead(key, rest, keyEnd)
    const heads = this.#heads
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      const middleHead = heads[middle] as number
      let order: number
      if (middleHead !== head) {
        order = middleHead < head ? -1 : 1
      } else {
        const row = middle * ROW_INTEGERS
        const start = (rows[row + KEY_START] as number) + prefixLength
        order = compareRanges(keyBytes, start, rows[row + KEY_END] as number, key, rest, keyEnd)
        if (order === 0) order = seq - this.seq(middle)
      }
      if (order < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The newest version of exactly this key that is not newer than `seq`, or -1. When the table's index leads here for
   * (key, seq), -1 says that the table has none.
   */
  findKey(key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const i = this.find(key, keyStart, keyEnd, seq)
    if (i === this.entryCount) return -1
    const row = i * ROW_INTEGERS
    const start = this.#rows[row + KEY_START] as number
    const end = this.#rows[row + KEY_END] as number
    return compareRanges(this.keyBytes, start, end, key, keyStart, keyEnd) === 0 ? i : -1
  }
}

/** Writes the row of an entry at integer `at` of `rows`. */
export function writeRow(
  rows: Int32Array,
  at: number,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  seqLow: number,
  seqHigh: number,
  kind: number,
): void {
  rows[at + KEY_START] = keyStart
  rows[at + KEY_END] = keyEnd
  rows[at + VALUE_START] = valueStart
  rows[at + VALUE_END] = valueEnd
  rows[at + SEQ_LOW] = seqLow
  rows[at + SEQ_HIGH_AND_KIND] = seqHigh | (kind << KIND_SHIFT)
}
