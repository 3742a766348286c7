import { crc32c, maskCrc32c } from '@moraine/base'
import { CompressionType, compressionName } from '../compression/compression-type.ts'
import { decompressLz4Block } from '../compression/lz4-block.ts'
import { decompressZstdBlock } from '../compression/zstd-block.ts'
import { blockChecksum, ChecksumType } from './checksum.ts'
import { corruption, unsupported } from './corruption.ts'

/** Compression type (1) and checksum (4) behind every block. */
export const BLOCK_TRAILER_BYTES = 5

/** Writes the trailer of the block `bytes[start, end)` right behind it. */
export function writeBlockTrailer(bytes: Uint8Array, start: number, end: number, compressionType: number): void {
  bytes[end] = compressionType
  writeU32(bytes, end + 1, maskCrc32c(crc32c(bytes, start, end + 1)))
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/**
 * Verifies the block with trailer in `bytes[start, end)` and returns its contents: a view of `bytes` when it is
 * stored raw, an array of its own when it was compressed. The checksum comes first: the decompressor is not safe
 * on damaged input.
 */
export function openBlock(
  bytes: Uint8Array,
  start: number,
  end: number,
  checksumType: number,
  name: string,
  what: string,
): Uint8Array {
  const contentEnd = end - BLOCK_TRAILER_BYTES
  if (contentEnd < start) throw corruption(name, `${what} has ${end - start} bytes, too few for a block`)
  if (checksumType !== ChecksumType.none) {
    const at = contentEnd + 1
    const stored =
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    const actual = blockChecksum(checksumType, bytes, start, at, name)
    if (stored !== actual) {
      throw corruption(name, `the checksum of ${what} is ${hex(actual)}, ${hex(stored)} is stored`)
    }
  }
  const compressionType = bytes[contentEnd] as number
  if (compressionType === CompressionType.none) return bytes.subarray(start, contentEnd)
  if (compressionType === CompressionType.lz4 || compressionType === CompressionType.lz4hc) {
    return decompressLz4Block(bytes, start, contentEnd, name, what)
  }
  if (compressionType === CompressionType.zstd) return decompressZstdBlock(bytes, start, contentEnd, name, what)
  const kind = compressionName(compressionType)
  throw unsupported(name, `${what} is compressed with ${kind}; only none, LZ4 and ZSTD are read`)
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
