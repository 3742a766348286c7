const CHUNK_BYTES = 1024 * 1024

/** Hands bytes on in chunks of a megabyte (the last one is smaller). Every chunk belongs to its receiver. */
export class ChunkedOutput {
  /** Bytes written so far. */
  length = 0
  readonly #emit: (chunk: Uint8Array) => void
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #used = 0

  constructor(emit: (chunk: Uint8Array) => void) {
    this.#emit = emit
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    this.length += end - start
    let at = start
    while (at < end) {
      const part = Math.min(end - at, CHUNK_BYTES - this.#used)
      this.#chunk.set(bytes.subarray(at, at + part), this.#used)
      this.#used += part
      at += part
      if (this.#used === CHUNK_BYTES) {
        this.#emit(plain(this.#chunk))
        this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
        this.#used = 0
      }
    }
  }

  /** Emits what is left, in an array of exactly its size. */
  finish(): void {
    if (this.#used > 0) this.#emit(new Uint8Array(this.#chunk.subarray(0, this.#used)))
    this.#chunk = Buffer.alloc(0)
    this.#used = 0
  }
}

/** The same memory as a Uint8Array, whose `slice` copies, unlike a Buffer's. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
