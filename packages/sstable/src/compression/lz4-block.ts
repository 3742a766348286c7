import { compressSync, uncompressSync } from 'lz4-napi'
import { MAX_BLOCK_BYTES } from '../format/limits.ts'
import { corruption } from '../format/corruption.ts'
import { rawLengthSize, readRawLength, writeRawLength } from './raw-length.ts'

// The library puts the raw length before the block as RocksDB does, but as a little-endian u32.
const LIBRARY_PREFIX_BYTES = 4

/** No LZ4 block decodes to more than 255 times its size; a declared length above that is a lie. */
const MAX_EXPANSION = 255

/**
 * Compresses `raw[0, length)` into `target` and returns the compressed size; 0 when that saves less than an eighth,
 * in which case the block is better stored as it is.
 */
export function compressLz4Block(raw: Buffer, length: number, target: Uint8Array): number {
  const framed = compressSync(raw.length === length ? raw : raw.subarray(0, length))
  const prefix = rawLengthSize(length)
  const size = framed.length - LIBRARY_PREFIX_BYTES + prefix
  if (size > length - (length >>> 3)) return 0
  writeRawLength(target, length)
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
  const { length, at } = readRawLength(bytes, start, end, name, what)
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
