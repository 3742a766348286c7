import { crc32c, maskCrc32c } from '@moraine/base'
import { unsupported } from './corruption.ts'
import { xxh3 } from './xxh3.ts'
import { xxh64 } from './xxh64.ts'

/** Checksum types of RocksDB's footer. Moraine writes CRC-32C and reads all but xxHash (32 bits). */
export const ChecksumType = { none: 0, crc32c: 1, xxhash: 2, xxhash64: 3, xxh3: 4 } as const

export const CHECKSUM_NAMES: readonly string[] = ['none', 'CRC-32C', 'xxHash', 'xxHash64', 'XXH3']

/** RocksDB hashes the block alone with XXH3 and mixes the compression type in with this factor. */
const XXH3_LAST_BYTE_FACTOR = 0x6b9083d9

/** The stored form of the checksum of `bytes[start, end)`, whose last byte is the compression type. */
export function blockChecksum(checksumType: number, bytes: Uint8Array, start: number, end: number, name: string): number {
  switch (checksumType) {
    case ChecksumType.crc32c:
      return maskCrc32c(crc32c(bytes, start, end))
    case ChecksumType.xxhash64:
      return Number(xxh64(bytes, start, end) & 0xffff_ffffn)
    case ChecksumType.xxh3: {
      const hash = Number(xxh3(bytes, start, end - 1) & 0xffff_ffffn)
      return (hash ^ Math.imul(bytes[end - 1] as number, XXH3_LAST_BYTE_FACTOR)) >>> 0
    }
    default:
      throw unsupported(name, `unsupported checksum type ${CHECKSUM_NAMES[checksumType] ?? checksumType}`)
  }
}
