import { compareRanges } from '@moraine/base'
import { comparePrefix, keyHead, sharedLength } from '../block/key-heads.ts'

/** The columns of a {@link BlockIndex}, each of exactly its size. */
export interface BlockIndexColumns {
  /** User keys of the index entries, one behind the other. */
  readonly keys: Uint8Array
  /** blockCount + 1 offsets into `keys`. */
  readonly keyOffsets: Uint32Array
  readonly seqs: Float64Array
  readonly offsets: Float64Array
  /** Bytes to read for each block, its trailer included. */
  readonly lengths: Uint32Array
}

/**
 * Which data block holds a key. Entry i is a separator: at or after the last entry of block i in internal order, and
 * before the first entry of block i + 1. Versions of one user key may span blocks; the sequence number decides then.
 */
export class BlockIndex {
  readonly blockCount: number
  readonly memoryBytes: number
  readonly #keys: Uint8Array
  readonly #keyOffsets: Uint32Array
  readonly #seqs: Float64Array
  readonly #offsets: Float64Array
  readonly #lengths: Uint32Array
  /** One per separator, behind the prefix that all of them share; see keyHead. */
  readonly #heads: Int32Array
  readonly #prefixLength: number

  constructor(columns: BlockIndexColumns) {
    this.blockCount = columns.lengths.length
    this.#keys = columns.keys
    this.#keyOffsets = columns.keyOffsets
    this.#seqs = columns.seqs
    this.#offsets = columns.offsets
    this.#lengths = columns.lengths
    const { keys, keyOffsets } = columns
    const count = this.blockCount
    const firstEnd = keyOffsets[1] ?? 0
    this.#prefixLength = count === 0 ? 0 : sharedLength(keys, 0, firstEnd, keys, keyOffsets[count - 1] as number, keys.length)
    this.#heads = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      this.#heads[i] = keyHead(keys, (keyOffsets[i] as number) + this.#prefixLength, keyOffsets[i + 1] as number)
    }
    this.memoryBytes =
      this.#heads.byteLength +
      columns.keys.byteLength +
      columns.keyOffsets.byteLength +
      columns.seqs.byteLength +
      columns.offsets.byteLength +
      columns.lengths.byteLength
  }

  /**
   * The only block that can hold the newest version of the key not newer than `seq`, which is also where a scan from
   * (key, seq) starts; `blockCount` when every entry of the table comes before it.
   */
  findBlock(key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const count = this.blockCount
    const side = comparePrefix(this.#keys, 0, this.#prefixLength, key, keyStart, keyEnd)
    if (side !== 0) return side > 0 ? 0 : count
    const head = keyHead(key, keyStart + this.#prefixLength, keyEnd)
    const heads = this.#heads
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      const middleHead = heads[middle] as number
      const before =
        middleHead === head ? this.compareSeparator(middle, key, keyStart, keyEnd, seq) < 0 : middleHead < head
      if (before) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Internal order of the separator of block i against (key, seq); negative, zero or positive. */
  compareSeparator(i: number, key: Uint8Array, keyStart: number, keyEnd: number, seq: number): number {
    const offsets = this.#keyOffsets
    const order = compareRanges(this.#keys, offsets[i] as number, offsets[i + 1] as number, key, keyStart, keyEnd)
    return order !== 0 ? order : seq - (this.#seqs[i] as number)
  }

  /** A copy of the user key of separator i. */
  separatorKey(i: number): Uint8Array {
    return this.#keys.slice(this.#keyOffsets[i], this.#keyOffsets[i + 1])
  }

  separatorSeq(i: number): number {
    return this.#seqs[i] as number
  }

  /** Where block i starts in the file. */
  blockOffset(i: number): number {
    return this.#offsets[i] as number
  }

  /** Bytes of block i with its trailer: what to read. */
  blockLength(i: number): number {
    return this.#lengths[i] as number
  }
}
