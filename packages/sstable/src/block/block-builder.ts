import { ByteWriter } from '@moraine/base'
import { BLOCK_TRAILER_BYTES, writeBlockTrailer } from '../format/block-trailer.ts'
import { CompressionType } from '../compression/compression-type.ts'

/**
 * Builds the small blocks of the tail (properties, metaindex, index): keys in ascending bytewise order, never
 * compressed. Data blocks have their own builder, which is the hot one.
 */
export class BlockBuilder {
  readonly #writer = new ByteWriter(1024)
  readonly #restarts: number[] = []
  readonly #restartInterval: number
  #lastKey: Uint8Array = new Uint8Array(0)
  #sinceRestart = 0

  constructor(restartInterval: number) {
    this.#restartInterval = restartInterval
  }

  add(key: Uint8Array, value: Uint8Array): void {
    let shared = 0
    if (this.#restarts.length === 0 || this.#sinceRestart === this.#restartInterval) {
      this.#restarts.push(this.#writer.length)
      this.#sinceRestart = 0
    } else {
      const last = this.#lastKey
      const limit = Math.min(last.length, key.length)
      while (shared < limit && last[shared] === key[shared]) shared++
    }
    this.#sinceRestart++
    this.#lastKey = key
    this.#writer.varint(shared).varint(key.length - shared).varint(value.length)
    this.#writer.range(key, shared, key.length).bytes(value)
  }

  /** Bytes that `finish` would return now. */
  get sizeBytes(): number {
    return this.#writer.length + 4 * Math.max(1, this.#restarts.length) + 4 + BLOCK_TRAILER_BYTES
  }

  /** The block with its trailer. */
  finish(): Uint8Array {
    const restarts = this.#restarts.length === 0 ? [0] : this.#restarts
    for (const restart of restarts) this.#writer.u32(restart)
    this.#writer.u32(restarts.length)
    const end = this.#writer.length
    this.#writer.u8(0).u32(0)
    const block = this.#writer.finish()
    writeBlockTrailer(block, 0, end, CompressionType.none)
    return block
  }
}
