import { ByteWriter, MoraineError } from '@moraine/base'
import { encodeDelete, encodePut } from './batch-codec.ts'
import { type Bytes, keyBytes, valueBytes } from './limits.ts'

/** A batch above this many bytes could not be logged as one record, so it is refused while it is built. */
const MAX_BATCH_BYTES: number = 2 ** 31 - 2 ** 20

/**
 * Writes that are applied together: all of them become visible and durable at once, or none does. Bytes are copied
 * when they are added, so the caller may reuse its arrays. A later operation on a key wins over an earlier one.
 */
export class WriteBatch {
  readonly #writer = new ByteWriter()
  #count = 0

  /** Number of operations. */
  get size(): number {
    return this.#count
  }

  /** Bytes of all operations, encoded. */
  get sizeBytes(): number {
    return this.#writer.length
  }

  put(key: Bytes, value: Bytes): this {
    const k = keyBytes(key)
    const v = valueBytes(value)
    this.#makeRoom(k.length + v.length)
    encodePut(this.#writer, k, 0, k.length, v, 0, v.length)
    this.#count++
    return this
  }

  delete(key: Bytes): this {
    const k = keyBytes(key)
    this.#makeRoom(k.length)
    encodeDelete(this.#writer, k, 0, k.length)
    this.#count++
    return this
  }

  clear(): this {
    this.#writer.clear()
    this.#count = 0
    return this
  }

  /** The encoded operations; valid until the batch is changed. */
  encoded(): Uint8Array {
    return this.#writer.view()
  }

  #makeRoom(bytes: number): void {
    if (this.#writer.length + bytes + 16 > MAX_BATCH_BYTES) {
      throw new MoraineError('INVALID', 'a write batch may hold at most 2 GiB; write it in smaller batches')
    }
  }
}
