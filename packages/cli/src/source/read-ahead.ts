import type { RandomAccess } from '@moraine/sstable'

const FIRST_WINDOW_BYTES = 128 * 1024
const LAST_WINDOW_BYTES = 4 * 1024 * 1024

/**
 * Reads ahead of a reader that goes forward, so that a scan of a table in a bucket is a few large requests instead of
 * one for each block. The window doubles with every read that continues the one before; a read elsewhere fetches what
 * it asks for and nothing more.
 */
export class ReadAhead implements RandomAccess {
  readonly sizeBytes: number
  readonly #inner: RandomAccess
  readonly #onRead: (bytes: number) => void
  #window: Uint8Array = new Uint8Array(0)
  #windowStart = 0
  #windowBytes = 0
  #end = -1

  /** `onRead` is told of every read by its length, for progress. */
  constructor(inner: RandomAccess, onRead: (bytes: number) => void = () => {}) {
    this.#inner = inner
    this.sizeBytes = inner.sizeBytes
    this.#onRead = onRead
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const forward = offset === this.#end
    this.#end = offset + length
    const at = offset - this.#windowStart
    let bytes: Uint8Array
    if (at >= 0 && at + length <= this.#window.length) {
      bytes = this.#window.subarray(at, at + length)
    } else {
      this.#windowBytes = forward ? Math.min(Math.max(FIRST_WINDOW_BYTES, this.#windowBytes * 2), LAST_WINDOW_BYTES) : 0
      const wanted = Math.min(Math.max(length, this.#windowBytes), Math.max(length, this.sizeBytes - offset))
      this.#window = await this.#inner.read(offset, wanted)
      this.#windowStart = offset
      bytes = this.#window.subarray(0, length)
    }
    this.#onRead(length)
    return bytes
  }
}
