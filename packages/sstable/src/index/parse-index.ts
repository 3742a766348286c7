import { ByteWriter, compareRanges } from '@moraine/base'
import { BlockCursor } from '../block/block-cursor.ts'
import type { BlockHandle } from '../format/block-handle.ts'
import { BLOCK_TRAILER_BYTES } from '../format/block-trailer.ts'
import { corruption } from '../format/corruption.ts'
import { KEY_TRAILER_BYTES, readKeySeq } from '../format/internal-key.ts'
import { MAX_BLOCK_BYTES } from '../format/limits.ts'
import { BlockIndex } from './block-index.ts'

/** How the entries of an index block are encoded; the table's properties say so. */
export interface IndexEncoding {
  /** Separators are user keys without a trailer: no user key spans two blocks. */
  readonly keysAreUserKeys: boolean
  /** A handle behind a key that shares bytes is the difference of its size to the handle before; offsets follow. */
  readonly valuesAreDeltas: boolean
  /** A copy of the block's first internal key follows each handle. */
  readonly hasFirstKey: boolean
}

export const PLAIN_INDEX: IndexEncoding = { keysAreUserKeys: false, valuesAreDeltas: false, hasFirstKey: false }

/** Calls `visit` with every entry of an index block; `key` is overwritten by the next one. */
export function visitIndex(
  content: Uint8Array,
  encoding: IndexEncoding,
  name: string,
  visit: (key: Uint8Array, userKeyLength: number, seq: number, handle: BlockHandle) => void,
): void {
  const cursor = new BlockCursor(content, name, 'the index block', !encoding.valuesAreDeltas)
  const trailer = encoding.keysAreUserKeys ? 0 : KEY_TRAILER_BYTES
  let previous: BlockHandle | undefined
  while (cursor.next()) {
    const reader = cursor.reader
    const valueEnd = reader.position + cursor.valueSize
    let handle: BlockHandle
    if (encoding.valuesAreDeltas && cursor.shared !== 0 && previous !== undefined) {
      const zigzag = reader.varint()
      const delta = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
      handle = { offset: previous.offset + previous.size + BLOCK_TRAILER_BYTES, size: previous.size + delta }
    } else {
      handle = { offset: reader.varint(), size: reader.varint() }
    }
    if (encoding.hasFirstKey) reader.view(reader.varint())
    if (!encoding.valuesAreDeltas && reader.position !== valueEnd) throw corruption(name, 'an index entry has a wrong size')
    const userKeyLength = cursor.keyLength - trailer
    if (userKeyLength < 0) throw corruption(name, 'an index key is shorter than its trailer')
    // A bare user key stands for all versions of it: sequence zero comes last in internal order.
    const seq = trailer === 0 ? 0 : readKeySeq(cursor.key, userKeyLength)
    visit(cursor.key, userKeyLength, seq, handle)
    previous = handle
  }
}

/** Collects index entries, checking that keys ascend and that blocks lie one behind the other in [0, limit). */
export class BlockIndexCollector {
  readonly #name: string
  readonly #limit: number
  readonly #keys = new ByteWriter(4096)
  readonly #keyOffsets: number[] = [0]
  readonly #seqs: number[] = []
  readonly #offsets: number[] = []
  readonly #lengths: number[] = []
  #end = 0

  constructor(name: string, limit: number) {
    this.#name = name
    this.#limit = limit
  }

  /** Where the last block ends. */
  get end(): number {
    return this.#end
  }

  add(key: Uint8Array, userKeyLength: number, seq: number, handle: BlockHandle): void {
    const { offset, size } = handle
    const end = offset + size + BLOCK_TRAILER_BYTES
    if (size < 0 || size > MAX_BLOCK_BYTES || offset < this.#end || end > this.#limit) {
      throw corruption(this.#name, `its index points to ${size} bytes at ${offset}, which is not a place for a data block`)
    }
    const count = this.#lengths.length
    if (count > 0) {
      const start = this.#keyOffsets[count - 1] as number
      const keys = this.#keys.view()
      const order = compareRanges(keys, start, keys.length, key, 0, userKeyLength)
      if (order > 0 || (order === 0 && (this.#seqs[count - 1] as number) <= seq)) {
        throw corruption(this.#name, 'the keys of its index are not in order')
      }
    }
    this.#keys.range(key, 0, userKeyLength)
    this.#keyOffsets.push(this.#keys.length)
    this.#seqs.push(seq)
    this.#offsets.push(offset)
    this.#lengths.push(end - offset)
    this.#end = end
  }

  finish(): BlockIndex {
    return new BlockIndex({
      keys: this.#keys.finish(),
      keyOffsets: Uint32Array.from(this.#keyOffsets),
      seqs: Float64Array.from(this.#seqs),
      offsets: Float64Array.from(this.#offsets),
      lengths: Uint32Array.from(this.#lengths),
    })
  }
}
