import { BLOCK_TRAILER_BYTES } from '../format/block-trailer.ts'
import { KEY_TRAILER_BYTES, writeKeyTrailer } from '../format/internal-key.ts'

/** Above this a copy by native code beats a loop. */
const NATIVE_COPY_FROM_BYTES = 64

/** Three varints of up to five bytes, and the key's trailer. */
const MAX_ENTRY_OVERHEAD = 15 + KEY_TRAILER_BYTES

/** The buffer of an unusually large block is not kept for the next one. */
const KEPT_BUFFER_BYTES = 4 * 1024 * 1024

/**
 * Encodes the entries of one data block into a buffer that is reused for the next. The caller says how many bytes a
 * key shares with the one before, which it knows from checking the order.
 */
export class DataBlockBuilder {
  /** The encoded block is `buffer[0, length)`. */
  buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024)
  length = 0
  entryCount = 0
  readonly #restartInterval: number
  #restarts = new Uint32Array(256)
  #restartCount = 0
  #sinceRestart = 0

  constructor(restartInterval: number) {
    this.#restartInterval = restartInterval
  }

  /** Size of the block if it were finished now, before compression. */
  get sizeBytes(): number {
    return this.length + 4 * this.#restartCount + 4
  }

  /**
   * Appends everything of an entry but its value, which `appendValue` (or the caller, for a value that it does not
   * want copied) puts behind it. `shared` counts user key bytes only.
   */
  appendKey(
    shared: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    seq: number,
    kind: number,
    valueLength: number,
  ): void {
    let skipped = shared
    if (this.#sinceRestart === this.#restartInterval || this.entryCount === 0) {
      skipped = 0
      this.#restart()
    }
    this.#sinceRestart++
    this.entryCount++
    const further = keyEnd - keyStart - skipped
    this.#reserve(MAX_ENTRY_OVERHEAD + further)
    const buffer = this.buffer
    let at = this.length
    if (skipped < 0x80) buffer[at++] = skipped
    else at = writeVarint(buffer, at, skipped)
    if (further < 0x80 - KEY_TRAILER_BYTES) buffer[at++] = further + KEY_TRAILER_BYTES
    else at = writeVarint(buffer, at, further + KEY_TRAILER_BYTES)
    if (valueLength < 0x80) buffer[at++] = valueLength
    else at = writeVarint(buffer, at, valueLength)
    if (further < NATIVE_COPY_FROM_BYTES) {
      for (let i = keyStart + skipped; i < keyEnd; i++) buffer[at++] = key[i] as number
    } else {
      buffer.set(key.subarray(keyStart + skipped, keyEnd), at)
      at += further
    }
    writeKeyTrailer(buffer, at, seq, kind)
    this.length = at + KEY_TRAILER_BYTES
  }

  appendValue(value: Uint8Array, valueStart: number, valueEnd: number): void {
    const length = valueEnd - valueStart
    this.#reserve(length)
    const buffer = this.buffer
    let at = this.length
    if (length < NATIVE_COPY_FROM_BYTES) {
      for (let i = valueStart; i < valueEnd; i++) buffer[at++] = value[i] as number
    } else {
      buffer.set(value.subarray(valueStart, valueEnd), at)
    }
    this.length += length
  }

  /** Appends the restart points and leaves room for a trailer; the block is `buffer[0, length)` then. */
  finish(): void {
    this.#reserve(4 * this.#restartCount + 4 + BLOCK_TRAILER_BYTES)
    for (let i = 0; i < this.#restartCount; i++) this.#appendU32(this.#restarts[i] as number)
    this.#appendU32(this.#restartCount)
  }

  /** Forgets the bytes written so far, but not the entries and restart points: the caller has taken them. */
  takeBytes(): void {
    this.length = 0
  }

  clear(): void {
    if (this.buffer.length > KEPT_BUFFER_BYTES) this.buffer = Buffer.allocUnsafeSlow(64 * 1024)
    this.length = 0
    this.entryCount = 0
    this.#restartCount = 0
    this.#sinceRestart = 0
  }

  #restart(): void {
    if (this.#restartCount === this.#restarts.length) {
      const grown = new Uint32Array(this.#restarts.length * 2)
      grown.set(this.#restarts)
      this.#restarts = grown
    }
    this.#restarts[this.#restartCount++] = this.length
    this.#sinceRestart = 0
  }

  #appendU32(value: number): void {
    this.buffer.writeUInt32LE(value, this.length)
    this.length += 4
  }

  #reserve(extra: number): void {
    const needed = this.length + extra
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    grown.set(this.buffer.subarray(0, this.length))
    this.buffer = grown
  }
}

function writeVarint(buffer: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}
