import { ByteReader, ByteWriter } from '@moraine/base'
import { BLOCK_TRAILER_BYTES, writeBlockTrailer } from '../format/block-trailer.ts'
import { CompressionType } from '../compression/compression-type.ts'
import { corruption } from '../format/corruption.ts'
import { FILTER_SEED, KeyFilter, MAX_FILTER_BITS } from './key-filter.ts'

/** Metaindex name of the filter block. RocksDB skips metaindex entries that it does not know. */
export const FILTER_BLOCK_NAME = 'moraine.filter.bloom.1'

/*
 * The filter block:  hash count (1) | hash seed, little-endian (4) | bit count, little-endian (8) | bits
 */
const HEADER_BYTES = 13
const MAX_HASH_COUNT = 64

/** The filter block with its trailer. */
export function encodeFilter(filter: KeyFilter): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES + filter.bits.length + BLOCK_TRAILER_BYTES)
  writer.u8(filter.hashCount).u32(FILTER_SEED).u64(filter.bitCount).bytes(filter.bits)
  const end = writer.length
  const block = writer.u8(0).u32(0).finish()
  writeBlockTrailer(block, 0, end, CompressionType.none)
  return block
}

/** The filter of an opened (verified) filter block; its bits are copied. */
export function decodeFilter(content: Uint8Array, name: string): KeyFilter {
  const reader = new ByteReader(content, `filter block of table ${name}`)
  const hashCount = reader.u8()
  const seed = reader.u32()
  const bitCount = reader.u64()
  const bits = reader.bytes(reader.remaining)
  const sizesAgree = bitCount >= 1 && bitCount <= MAX_FILTER_BITS + 8 && Math.ceil(bitCount / 8) === bits.length
  if (seed !== FILTER_SEED || hashCount < 1 || hashCount > MAX_HASH_COUNT || !sizesAgree) {
    throw corruption(name, `its filter of ${bits.length} bytes declares ${bitCount} bits, ${hashCount} hashes, seed ${seed}`)
  }
  return KeyFilter.fromBits(bits, bitCount, hashCount)
}
