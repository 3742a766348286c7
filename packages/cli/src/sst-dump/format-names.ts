/** Names of the numbers in a table's footer and block trailers, as RocksDB assigns them. */
const CHECKSUMS = ['none', 'CRC-32C', 'xxHash', 'xxHash64', 'XXH3'] as const
const COMPRESSIONS = ['none', 'Snappy', 'Zlib', 'BZip2', 'LZ4', 'LZ4HC', 'Xpress', 'ZSTD'] as const
const INDEX_TYPES = ['binary search', 'hash search', 'two levels', 'binary search with first keys'] as const

/** The compression type and the checksum behind every block. */
export const BLOCK_TRAILER_BYTES = 5

export function checksumName(type: number): string {
  return CHECKSUMS[type] ?? `unknown (${type})`
}

export function compressionName(type: number): string {
  return COMPRESSIONS[type] ?? `unknown (${type})`
}

export function indexTypeName(type: number): string {
  return INDEX_TYPES[type] ?? `unknown (${type})`
}
