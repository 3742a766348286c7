import { MoraineError } from '@moraine/base'

/**
 * An arena is a list of chunks of 32-bit words. A reference is a word address, chunk number and index in one
 * non-negative 31-bit integer, so that it fits a word of the arena itself and stays a small integer in the engine:
 *
 *      30          18 17               0
 *     +--------------+------------------+
 *     | chunk number | word in the chunk|      words[ref >>> CHUNK_SHIFT][ref & CHUNK_MASK]
 *     +--------------+------------------+
 *
 * Chunks are never moved or resized: growing costs one allocation of 1 MiB and copies nothing, an address stays
 * true for the life of the arena, and another thread attaches by taking the same buffers. An allocation never
 * crosses chunks. Address 0 is never handed out and means "none".
 */
export const CHUNK_SHIFT = 18
export const CHUNK_WORDS: number = 1 << CHUNK_SHIFT
export const CHUNK_MASK: number = CHUNK_WORDS - 1
export const CHUNK_BYTES: number = CHUNK_WORDS * 4

/** 31 address bits: 8 GiB an arena. */
const MAX_CHUNKS = 1 << (31 - CHUNK_SHIFT)

/**
 * Keeps the chunks of released memtables for the next ones. Allocating and dropping large buffers at the pace of
 * flushes makes the garbage collector pause for many milliseconds; a steady writer that recycles its chunks
 * allocates nothing. Chunks come back dirty: whoever takes one writes every word before it reads it.
 */
export class ArenaPool {
  readonly #maxPooledBytes: number
  readonly #shared: ArrayBufferLike[] = []
  readonly #unshared: ArrayBufferLike[] = []

  constructor(maxPooledBytes: number) {
    this.#maxPooledBytes = maxPooledBytes
  }

  get pooledBytes(): number {
    return (this.#shared.length + this.#unshared.length) * CHUNK_BYTES
  }

  /** A chunk of CHUNK_BYTES with arbitrary content, or undefined when the pool has none of this kind. */
  take(shared: boolean): ArrayBufferLike | undefined {
    return shared ? this.#shared.pop() : this.#unshared.pop()
  }

  /** Keeps the chunk if there is room, else leaves it to the garbage collector. */
  give(chunk: ArrayBufferLike): void {
    if (chunk.byteLength !== CHUNK_BYTES || this.pooledBytes + CHUNK_BYTES > this.#maxPooledBytes) return
    if (chunk instanceof SharedArrayBuffer) this.#shared.push(chunk)
    else this.#unshared.push(chunk)
  }

  /** Leaves chunks of so many bytes, or a little more, to the garbage collector. */
  trim(bytes: number): void {
    const targetBytes = this.pooledBytes - bytes
    while (this.pooledBytes > Math.max(0, targetBytes)) {
      if (this.#unshared.pop() === undefined) this.#shared.pop()
    }
  }
}

export interface ArenaOptions {
  readonly shared: boolean
  /** Size of the first chunk, a multiple of 4 up to CHUNK_BYTES: small memtables stay small. */
  readonly firstChunkBytes: number
  readonly pool?: ArenaPool | undefined
}

export function allocateBuffer(byteLength: number, shared: boolean): ArrayBufferLike {
  return shared ? new SharedArrayBuffer(byteLength) : new ArrayBuffer(byteLength)
}

export class Arena {
  /** The chunks as words and as bytes; read directly by the structures that live here, which is what makes them fast. */
  readonly words: Int32Array[] = []
  readonly bytes: Uint8Array[] = []
  readonly #options: ArenaOptions | undefined
  #memoryBytes = 0
  /** The next free address, and the end of the chunk it is in. */
  #cursor = 0
  #limit = 0

  /** Without options the arena takes the given chunks and is read-only. */
  constructor(options: ArenaOptions | undefined, chunks: readonly ArrayBufferLike[] = []) {
    this.#options = options
    for (const chunk of chunks) this.#adopt(chunk)
    if (options === undefined) return
    this.#grow(options.firstChunkBytes)
    this.#cursor = 1
  }

  get memoryBytes(): number {
    return this.#memoryBytes
  }

  get chunks(): ArrayBufferLike[] {
    return this.words.map((chunk) => chunk.buffer)
  }

  /** Address of `wordCount` contiguous words of arbitrary content. Throws before anything has changed. */
  allocate(wordCount: number): number {
    if (this.#cursor + wordCount > this.#limit) this.#grow(CHUNK_BYTES)
    const address = this.#cursor
    this.#cursor += wordCount
    return address
  }

  /** Gives the chunks back. Whoever reads the arena afterwards fails instead of seeing another memtable's data. */
  release(): void {
    const pool = this.#options?.pool
    for (const chunk of this.words) pool?.give(chunk.buffer)
    this.words.length = 0
    this.bytes.length = 0
    this.#memoryBytes = 0
    this.#cursor = 0
    this.#limit = 0
  }

  #grow(byteLength: number): void {
    const options = this.#options
    if (options === undefined) throw new MoraineError('INTERNAL', 'a memtable attached from another thread is read-only')
    const number = this.words.length
    if (number === MAX_CHUNKS) {
      throw new MoraineError('INTERNAL', 'the memtable holds 8 GiB; flush it earlier (lower memtableSizeBytes)')
    }
    const pooled = byteLength === CHUNK_BYTES ? options.pool?.take(options.shared) : undefined
    this.#adopt(pooled ?? allocateBuffer(byteLength, options.shared))
    this.#cursor = number << CHUNK_SHIFT
    this.#limit = this.#cursor + byteLength / 4
  }

  #adopt(chunk: ArrayBufferLike): void {
    this.words.push(new Int32Array(chunk))
    this.bytes.push(new Uint8Array(chunk))
    this.#memoryBytes += chunk.byteLength
  }
}
