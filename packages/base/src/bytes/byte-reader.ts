import { MoraineError } from '../error/moraine-error.ts'
import { utf8Decode } from './text.ts'

/**
 * Reads what {@link ByteWriter} wrote. Every read is bounds-checked: bytes that end too early, or a length that
 * points outside, are CORRUPTION, never an out-of-range read or an allocation of a forged size.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  readonly #end: number
  #at: number

  /** @param what names the thing being read, for the error message. */
  constructor(bytes: Uint8Array, what: string, start = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#what = what
    this.#at = start
    this.#end = end
  }

  get position(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  #need(size: number): number {
    const at = this.#at
    if (size < 0 || size > this.#end - at) {
      throw new MoraineError('CORRUPTION', `${this.#what} ends too early: ${size} bytes wanted, ${this.#end - at} left`)
    }
    this.#at = at + size
    return at
  }

  u8(): number {
    return this.#bytes[this.#need(1)] as number
  }

  u32(): number {
    const at = this.#need(4)
    const b = this.#bytes
    return (
      ((b[at] as number) | ((b[at + 1] as number) << 8) | ((b[at + 2] as number) << 16) | ((b[at + 3] as number) << 24)) >>> 0
    )
  }

  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high > 0x1f_ffff) throw new MoraineError('CORRUPTION', `${this.#what} holds a number above 2^53`)
    return high * 0x1_0000_0000 + low
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 128
    }
    throw new MoraineError('CORRUPTION', `${this.#what} holds a number above 2^53`)
  }

  /** A copy of the next `size` bytes. */
  bytes(size: number): Uint8Array {
    const at = this.#need(size)
    return this.#bytes.slice(at, at + size)
  }

  /** A view of the next `size` bytes. */
  view(size: number): Uint8Array {
    const at = this.#need(size)
    return this.#bytes.subarray(at, at + size)
  }

  sized(): Uint8Array {
    return this.bytes(this.varint())
  }

  text(): string {
    return utf8Decode(this.view(this.varint()))
  }

  /** A count of things that take at least `minimumSize` bytes each, so that a forged count fails here. */
  count(minimumSize: number): number {
    const count = this.varint()
    if (count * minimumSize > this.remaining) {
      throw new MoraineError('CORRUPTION', `${this.#what} declares ${count} entries in ${this.remaining} bytes`)
    }
    return count
  }

  expectEnd(): void {
    if (this.#at !== this.#end) {
      throw new MoraineError('CORRUPTION', `${this.#what} has ${this.#end - this.#at} bytes too many`)
    }
  }
}
