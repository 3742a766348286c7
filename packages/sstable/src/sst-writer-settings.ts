import type { Compression } from './compression/compression-type.ts'

export interface SstWriterSettings {
  /** A data block is closed before it would (noticeably) exceed this, uncompressed; a larger entry gets its own block. */
  readonly blockSizeBytes: number
  /** Every so many entries a key is stored whole. */
  readonly restartInterval: number
  /** `zstd` only where `zstdAvailable`. */
  readonly compression: Compression
  /** 0: no filter. 10 gives one false positive in a hundred. */
  readonly filterBitsPerKey: number
  readonly createdAtMs: number
  readonly engineVersion: string
  readonly databaseId?: string
  /** Adds what RocksDB wants to see in a file that it ingests. Every sequence number must be 0. */
  readonly externalFile?: boolean
  /** Declares to every reader that the value of each put and merge begins with an envelope of the engine. */
  readonly enveloped?: boolean
  /** Written as they are into the properties block; names of their own prefix, please. */
  readonly userProperties?: Readonly<Record<string, string>>
}

export const defaultSstWriterSettings: SstWriterSettings = {
  blockSizeBytes: 16 * 1024,
  restartInterval: 16,
  compression: 'lz4',
  filterBitsPerKey: 10,
  createdAtMs: 0,
  engineVersion: '0.1.0',
}
