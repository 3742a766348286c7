/** Compression types of the block trailer, as RocksDB numbers them. */
export const CompressionType = { none: 0, snappy: 1, zlib: 2, bzip2: 3, lz4: 4, lz4hc: 5, xpress: 6, zstd: 7 } as const

/** How blocks are compressed that are written. */
export type Compression = 'none' | 'lz4' | 'zstd'

const NAMES: ReadonlyMap<number, string> = new Map([
  [CompressionType.none, 'NoCompression'],
  [CompressionType.snappy, 'Snappy'],
  [CompressionType.zlib, 'Zlib'],
  [CompressionType.bzip2, 'BZip2'],
  [CompressionType.lz4, 'LZ4'],
  [CompressionType.lz4hc, 'LZ4HC'],
  [CompressionType.xpress, 'Xpress'],
  [CompressionType.zstd, 'ZSTD'],
])

/** RocksDB's name of a compression type, as it stands in the property `rocksdb.compression`. */
export function compressionName(type: number): string {
  return NAMES.get(type) ?? `unknown compression ${type}`
}
