import zlib from 'node:zlib'
import { MoraineError } from '@moraine/base'
import { corruption, unsupported } from '../format/corruption.ts'
import { MAX_BLOCK_BYTES } from '../format/limits.ts'
import { rawLengthSize, readRawLength, writeRawLength } from './raw-length.ts'

/** What Node has from 22.15 on. */
interface ZstdCalls {
  readonly zstdCompressSync?: (raw: Uint8Array) => Uint8Array
  readonly zstdDecompressSync?: (frame: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array
}

const { zstdCompressSync, zstdDecompressSync } = zlib as ZstdCalls

/** Whether this runtime can write and read ZSTD. */
export const zstdAvailable: boolean = zstdCompressSync !== undefined && zstdDecompressSync !== undefined

/** Like `compressLz4Block`: the compressed size, or 0 when the block is better stored as it is. */
export function compressZstdBlock(raw: Uint8Array, length: number, target: Uint8Array): number {
  if (zstdCompressSync === undefined) {
    throw new MoraineError('INVALID', 'this runtime cannot compress with ZSTD; Node can from 22.15 on, or choose another compression')
  }
  const frame = zstdCompressSync(raw.length === length ? raw : raw.subarray(0, length))
  const prefix = rawLengthSize(length)
  const size = frame.length + prefix
  if (size > length - (length >>> 3)) return 0
  writeRawLength(target, length)
  target.set(frame, prefix)
  return size
}

/** Decompresses `bytes[start, end)`, whose checksum the caller has verified. Never more than the declared size. */
export function decompressZstdBlock(bytes: Uint8Array, start: number, end: number, name: string, what: string): Uint8Array {
  if (zstdDecompressSync === undefined) {
    throw unsupported(name, `${what} is compressed with ZSTD, which this runtime does not read; Node does from 22.15 on`)
  }
  const { length, at } = readRawLength(bytes, start, end, name, what)
  if (length > MAX_BLOCK_BYTES) throw corruption(name, `${what} declares ${length} uncompressed bytes, more than a block has`)
  let raw: Uint8Array
  try {
    raw = zstdDecompressSync(bytes.subarray(at, end), { maxOutputLength: Math.max(1, length) })
  } catch (cause) {
    throw corruption(name, `${what} does not decompress`, cause)
  }
  if (raw.length !== length) throw corruption(name, `${what} has ${raw.length} uncompressed bytes, ${length} were declared`)
  // An array of exactly its own memory: a pooled Buffer would keep its whole slab alive in a cache.
  return raw.byteLength === raw.buffer.byteLength ? new Uint8Array(raw.buffer) : new Uint8Array(raw)
}
