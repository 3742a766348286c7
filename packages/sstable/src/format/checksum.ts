import { crc32c, maskCrc32c } from '@moraine/base'
import { unsupported } from './corruption.ts'

/** Checksum types of RocksDB's footer. Moraine writes CRC-32C. */
export const ChecksumType = { none: 0, crc32c: 1, xxhash: 2, xxhash64: 3, xxh3: 4 } as const

export const CHECKSUM_NAMES: readonly string[] = ['none', 'CRC-32C', 'xxHash', 'xxHash64', 'XXH3']

/** The stored form of the checksum of `bytes[start, end)`, whose last byte is the compression type. */
export function blockChecksum(checksumType: number, bytes: Uint8Array, start: number, end: number, name: string): number {
  if (checksumType === ChecksumType.crc32c) return maskCrc32c(crc32c(bytes, start, end))
  throw unsupported(name, `unsupported checksum type ${CHECKSUM_NAMES[checksumType] ?? checksumType}`)
}
