import { ByteWriter } from '@moraine/base'
import { BlockBuilder } from '../block/block-builder.ts'
import { EntryKind } from '../entry-kind.ts'
import { KEY_TRAILER_BYTES, writeKeyTrailer } from '../format/internal-key.ts'
import { shortestSeparator } from './separator.ts'

/** The index is read as a whole when a table is opened, so that its restart points serve nobody but RocksDB. */
const RESTART_INTERVAL = 16

/**
 * Builds the index block: for each data block a separator, as an internal key, and the block's handle. A separator
 * that is shorter than the last key of its block lies between two user keys, so that any sequence number would do.
 */
export class IndexBuilder {
  blockCount = 0
  readonly #entries = new BlockBuilder(RESTART_INTERVAL)
  #offset = 0
  #size = 0

  get sizeBytes(): number {
    return this.#entries.sizeBytes
  }

  /** The place of the data block that was just written; `size` without its trailer. */
  setHandle(offset: number, size: number): void {
    this.#offset = offset
    this.#size = size
  }

  /** The block of the last handle ends with (last, lastSeq), and the next block starts with `next`. */
  addSeparator(
    last: Uint8Array,
    lastLength: number,
    lastSeq: number,
    next: Uint8Array,
    nextStart: number,
    nextEnd: number,
  ): void {
    const { length, finalByte } = shortestSeparator(last, lastLength, next, nextStart, nextEnd)
    if (finalByte === undefined) this.addLast(last, lastLength, lastSeq)
    else this.#add(last, length, finalByte, Number.MAX_SAFE_INTEGER)
  }

  /** The block of the last handle ends the table. */
  addLast(last: Uint8Array, lastLength: number, lastSeq: number): void {
    this.#add(last, lastLength, undefined, lastSeq)
  }

  finish(): Uint8Array {
    return this.#entries.finish()
  }

  #add(key: Uint8Array, length: number, finalByte: number | undefined, seq: number): void {
    const internalKey = new Uint8Array(length + KEY_TRAILER_BYTES)
    internalKey.set(key.subarray(0, length))
    if (finalByte !== undefined) internalKey[length - 1] = finalByte
    // Kind delete sorts behind every other kind of the same key and number, hence never before the entry it bounds.
    writeKeyTrailer(internalKey, length, seq, EntryKind.delete)
    this.#entries.add(internalKey, new ByteWriter(10).varint(this.#offset).varint(this.#size).finish())
    this.blockCount++
  }
}
