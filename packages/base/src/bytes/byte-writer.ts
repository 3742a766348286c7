import { utf8Encode } from './text.ts'

/**
 * A growing byte buffer with the little-endian and varint encodings that Moraine's formats use. `finish()` copies
 * out exactly the bytes written; `view()` gives them without a copy until the next write.
 */
export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  constructor(initialCapacity = 256) {
    this.#bytes = new Uint8Array(initialCapacity)
  }

  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#length = 0
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  reserve(extra: number): void {
    const needed = this.#length + extra
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }

  u8(value: number): this {
    this.reserve(1)
    this.#bytes[this.#length++] = value
    return this
  }

  u32(value: number): this {
    this.reserve(4)
    const bytes = this.#bytes
    let at = this.#length
    bytes[at++] = value
    bytes[at++] = value >>> 8
    bytes[at++] = value >>> 16
    bytes[at++] = value >>> 24
    this.#length = at
    return this
  }

  /** An unsigned integer up to 2^53 - 1 in eight bytes, little-endian. */
  u64(value: number): this {
    this.u32(value >>> 0)
    return this.u32(Math.floor(value / 0x1_0000_0000))
  }

  /** LEB128, for integers up to 2^53 - 1. */
  varint(value: number): this {
    this.reserve(8)
    const bytes = this.#bytes
    let at = this.#length
    while (value >= 0x1000_0000) {
      bytes[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    while (value >= 0x80) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.#length = at
    return this
  }

  bytes(source: Uint8Array): this {
    this.reserve(source.length)
    this.#bytes.set(source, this.#length)
    this.#length += source.length
    return this
  }

  range(source: Uint8Array, start: number, end: number): this {
    const size = end - start
    this.reserve(size)
    if (size < 48) {
      const target = this.#bytes
      let at = this.#length
      for (let i = start; i < end; i++) target[at++] = source[i] as number
    } else {
      this.#bytes.set(source.subarray(start, end), this.#length)
    }
    this.#length += size
    return this
  }

  /** A varint length, then the bytes. */
  sized(source: Uint8Array): this {
    return this.varint(source.length).bytes(source)
  }

  /** A varint length, then UTF-8. */
  text(source: string): this {
    return this.sized(utf8Encode(source))
  }

  /** Overwrites four bytes written earlier. */
  setU32(at: number, value: number): void {
    const bytes = this.#bytes
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
  }
}
