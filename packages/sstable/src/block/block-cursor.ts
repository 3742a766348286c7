import { ByteReader } from '@moraine/base'
import { corruption } from '../format/corruption.ts'
import { blockEntriesEnd } from './block-tail.ts'

/**
 * Walks the prefix-compressed entries of a small block (index, metaindex, properties) in order. Data blocks have
 * their own decoder, which is the hot one.
 *
 *   entry:  shared key bytes (varint) | further key bytes (varint) | value size (varint, unless `sized` is false) |
 *           further key bytes | value
 */
export class BlockCursor {
  /** The key of the current entry is `key[0, keyLength)`; overwritten by `next`. */
  key: Uint8Array = new Uint8Array(64)
  keyLength = 0
  /** Key bytes shared with the entry before; 0 at restart points. */
  shared = 0
  /** Value bytes; 0 when values are not sized: then `reader` stands at the value and the caller reads it. */
  valueSize = 0
  readonly reader: ByteReader
  readonly #sized: boolean
  readonly #name: string

  constructor(content: Uint8Array, name: string, what: string, sized = true) {
    this.reader = new ByteReader(content, `${what} of table ${name}`, 0, blockEntriesEnd(content, name, what))
    this.#sized = sized
    this.#name = name
  }

  next(): boolean {
    const reader = this.reader
    if (reader.remaining === 0) return false
    const shared = reader.varint()
    const further = reader.varint()
    this.valueSize = this.#sized ? reader.varint() : 0
    if (shared > this.keyLength) throw corruption(this.#name, 'a key shares more bytes than the key before it has')
    const delta = reader.view(further)
    const length = shared + further
    if (this.key.length < length) {
      const grown = new Uint8Array(length * 2)
      grown.set(this.key)
      this.key = grown
    }
    this.key.set(delta, shared)
    this.keyLength = length
    this.shared = shared
    return true
  }
}
