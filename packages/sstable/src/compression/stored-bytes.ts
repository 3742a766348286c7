import { CompressionType, type Compression, compressionName } from './compression-type.ts'
import { compressLz4Block, decompressLz4Block } from './lz4-block.ts'
import { compressZstdBlock, decompressZstdBlock } from './zstd-block.ts'
import { unsupported } from '../format/corruption.ts'

/** Bytes as they are stored: compressed like a block, or as they were. */
export interface StoredBytes {
  readonly compressionType: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

let scratch = new Uint8Array(64 * 1024)

/**
 * Compresses `bytes[start, end)` as a block is compressed, or gives them back when that saves less than an eighth. What
 * was compressed stands in an array that the next call overwrites.
 */
export function storedBytes(compression: Compression, bytes: Uint8Array, start: number, end: number): StoredBytes {
  const length = end - start
  if (compression === 'none' || length === 0) return { compressionType: CompressionType.none, bytes, start, end }
  if (scratch.length < length) scratch = new Uint8Array(length)
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset + start, length)
  const size = compression === 'lz4' ? compressLz4Block(raw, length, scratch) : compressZstdBlock(raw, length, scratch)
  if (size === 0) return { compressionType: CompressionType.none, bytes, start, end }
  return { compressionType: CompressionType[compression], bytes: scratch, start: 0, end: size }
}

/** The bytes that were stored as `bytes[start, end)`, whose checksum the caller has verified; a view when not compressed. */
export function unstoredBytes(
  compressionType: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
  what: string,
): Uint8Array {
  if (compressionType === CompressionType.none) return bytes.subarray(start, end)
  if (compressionType === CompressionType.lz4) return decompressLz4Block(bytes, start, end, name, what)
  if (compressionType === CompressionType.zstd) return decompressZstdBlock(bytes, start, end, name, what)
  throw unsupported(name, `${what} is compressed with ${compressionName(compressionType)}; only none, LZ4 and ZSTD are read`)
}
