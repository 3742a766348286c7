import { compressSync, uncompressSync } from 'lz4-napi'
import { MAX_BLOCK_BYTES } from '../format/limits.ts'
import { corruption } from '../format/corruption.ts'

/*
 * RocksDB (format version 2 and up):  varint32 raw length | LZ4 block
 * lz4-napi:                           u32le raw length    | LZ4 block
 */
const LIBRARY_PREFIX_BYTES = 4

/** No LZ4 block decodes to more than 255 times its size; a declared length above that is a lie. */
const MAX_EXPANSION = 255

/**
 * Compresses `raw[0, length)` into `target` and returns the compressed size; 0 when that saves less than an eighth,
 * in which case the block is better stored as it is.
 */
export function compressLz4Block(raw: Buffer, length: number, target: Uint8Array): number {
  const framed = compressSync(raw.length === length ? raw : raw.subarray(0, length))
  const prefix = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5
  const size = framed.length - LIBRARY_PREFIX_BYTES + prefix
  if (size > length - (length >>> 3)) return 0
  let rest = length
  for (let i = 0; i < prefix - 1; i++) {
    target[i] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[prefix - 1] = rest
  target.set(framed.subarray(LIBRARY_PREFIX_BYTES), prefix)
  return size
}

// The library wants prefix and block in one array; this one is reused, for the library keeps nothing of it.
let scratch = new Uint8Array(64 * 1024)
const KEPT_SCRATCH_BYTES = 4 * 1024 * 1024

/**
 * Decompresses `bytes[start, end)`, whose checksum the caller has verified: the library is unsafe on damaged input.
 */
export function decompressLz4Block(bytes: Uint8Array, start: number, end: number, name: string, what: string): Uint8Array {
  let length = 0
  let scale = 1
  let at = start
  for (;;) {
    if (at >= end || at - start >= 5) throw corruption(name, `${what} declares no uncompressed size`)
    const byte = bytes[at++] as number
    length += (byte & 0x7f) * scale
    if (byte < 0x80) break
    scale *= 128
  }
  const compressed = end - at
  if (length > Math.min(compressed * MAX_EXPANSION, MAX_BLOCK_BYTES)) {
    throw corruption(name, `${what} declares ${length} uncompressed bytes in ${compressed} compressed ones`)
  }
  const needed = compressed + LIBRARY_PREFIX_BYTES
  let input = scratch
  if (input.length < needed) {
    input = new Uint8Array(Math.max(needed, Math.min(needed * 2, KEPT_SCRATCH_BYTES)))
    if (input.length <= KEPT_SCRATCH_BYTES) scratch = input
  }
  input[0] = length
  input[1] = length >>> 8
  input[2] = length >>> 16
  input[3] = length >>> 24
  input.set(bytes.subarray(at, end), LIBRARY_PREFIX_BYTES)
  let raw: Uint8Array
  try {
    raw = uncompressSync(input.subarray(0, needed))
  } catch (cause) {
    throw corruption(name, `${what} does not decompress`, cause)
  }
  if (raw.length !== length) throw corruption(name, `${what} has ${raw.length} uncompressed bytes, ${length} were declared`)
  // A plain Uint8Array over the same memory: mixing it with Buffers makes every later access slower.
  return new Uint8Array(raw.buffer, raw.byteOffset, raw.length)
}
