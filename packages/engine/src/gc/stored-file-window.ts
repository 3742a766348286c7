import { MoraineError } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { RandomAccess } from '@moraine/sstable'

const WINDOW_BYTES = 4 * 1024 * 1024

/** A file of a store that is read from its beginning to its end, in large requests. */
export class StoredFileWindow implements RandomAccess {
  readonly sizeBytes: number
  readonly #store: ObjectStore
  readonly #name: string
  readonly #signal: AbortSignal | undefined
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(store: ObjectStore, name: string, sizeBytes: number, signal: AbortSignal | undefined) {
    this.#store = store
    this.#name = name
    this.sizeBytes = sizeBytes
    this.#signal = signal
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#start || offset + length > this.#start + this.#bytes.length) {
      const range = { offset, length: Math.max(length, Math.min(WINDOW_BYTES, this.sizeBytes - offset)) }
      const body = await this.#store.get(this.#name, { range, signal: this.#signal })
      if (body === undefined) throw new MoraineError('CORRUPTION', `${this.#name} has just vanished`)
      this.#start = offset
      this.#bytes = body.bytes
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length)
  }
}
