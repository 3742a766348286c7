import { compareRanges } from '@moraine/base'

/** The columns of a {@link DataBlock}, each of exactly its size. */
export interface DataBlockColumns {
  /** User keys; a key that occurs in several versions is usually stored once. */
  readonly keyBytes: Uint8Array
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  readonly valueBytes: Uint8Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
  readonly seqs: Float64Array
  readonly kinds: Uint8Array
}

/** Objects around the arrays, roughly. */
const BLOCK_OVERHEAD_BYTES = 800

/**
 * A data block, decoded: entries in internal order with random access. Immutable and self-contained: it holds on to no
 * bytes but its own, so that a cache can account for it.
 */
export class DataBlock {
  readonly entryCount: number
  readonly memoryBytes: number
  readonly keyBytes: Uint8Array
  readonly valueBytes: Uint8Array
  readonly #keyStarts: Int32Array
  readonly #keyEnds: Int32Array
  readonly #valueStarts: Int32Array
  readonly #valueEnds: Int32Array
  readonly #seqs: Float64Array
  readonly #kinds: Uint8Array

  constructor(columns: DataBlockColumns) {
    this.entryCount = columns.kinds.length
    this.keyBytes = columns.keyBytes
    this.valueBytes = columns.valueBytes
    this.#keyStarts = columns.keyStarts
    this.#keyEnds = columns.keyEnds
    this.#valueStarts = columns.valueStarts
    this.#valueEnds = columns.valueEnds
    this.#seqs = columns.seqs
    this.#kinds = columns.kinds
    this.memoryBytes = columns.keyBytes.byteLength + columns.valueBytes.byteLength + this.entryCount * 25 + BLOCK_OVERHEAD_BYTES
  }

  keyStart(i: number): number {
    return this.#keyStarts[i] as number
  }

  keyEnd(i: number): number {
    return this.#keyEnds[i] as number
  }

  valueStart(i: number): number {
    return this.#valueStarts[i] as number
  }

  valueEnd(i: number): number {
    return this.#valueEnds[i] as number
  }

  seq(i: number): number {
    return this.#seqs[i] as number
  }

  kind(i: number): number {
    return this.#kinds[i] as number
  }

  /** The first entry at or after (key, seq) in internal order; entryCount when there is none. */
  find(key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const keyBytes = this.keyBytes
    const starts = this.#keyStarts
    const ends = this.#keyEnds
    let low = 0
    let high = this.entryCount
    while (low < high) {
      const middle = (low + high) >>> 1
      let order = compareRanges(keyBytes, starts[middle] as number, ends[middle] as number, key, keyStart, keyEnd)
      if (order === 0) order = seq - (this.#seqs[middle] as number)
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
    const start = this.#keyStarts[i] as number
    const end = this.#keyEnds[i] as number
    return compareRanges(this.keyBytes, start, end, key, keyStart, keyEnd) === 0 ? i : -1
  }
}
