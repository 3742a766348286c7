import { ByteReader } from '@moraine/base'
import { type DataBlock, RANGE_TOMBSTONES_BLOCK_NAME, type SstEntry, type SstReader } from '@moraine/sstable'
import { BLOCK_TRAILER_BYTES, compressionName } from './format-names.ts'
import { tombstoneEntry } from './range-tombstones.ts'

/** What the block of range tombstones is called where data blocks have numbers. */
export const RANGE_TOMBSTONES = 'ranges'

/** One block of entries as it stands in the file. */
export interface StoredBlock {
  /** The number of a data block. */
  readonly ordinal: number | typeof RANGE_TOMBSTONES
  readonly offset: number
  /** With the trailer: what the block takes in the file. */
  readonly storedBytes: number
  readonly compression: string
  /** The checksum as stored. */
  readonly checksum: number
  /** The uncompressed block. */
  readonly content: Uint8Array
  readonly entryCount: number
  /** Entry i, in arrays that may share the block's memory. */
  entry(i: number): SstEntry
}

/** How one entry is encoded in its block. */
export interface EncodedEntry {
  /** Where it starts in the uncompressed block. */
  readonly offset: number
  readonly encodedBytes: number
  /** Bytes of the internal key that it shares with the entry before. */
  readonly sharedBytes: number
  /** Bytes of the internal key that it stores itself. */
  readonly storedKeyBytes: number
  readonly valueBytes: number
  readonly restart: boolean
}

const HASH_INDEX_BIT = 0x8000_0000

/** Reads and verifies data block `ordinal`. */
export async function readStoredBlock(reader: SstReader, ordinal: number): Promise<StoredBlock> {
  const stored = await reader.readStoredBlock(ordinal)
  const block = await reader.readBlock(ordinal)
  return {
    ordinal,
    offset: reader.metadata.index.blockOffset(ordinal),
    ...trailerOf(stored, `data block ${ordinal}`),
    // A decoded block keeps its values where they were: in the uncompressed contents.
    content: block.valueBytes,
    entryCount: block.entryCount,
    entry: (i) => entryOf(block, i),
  }
}

/** Reads the block of range tombstones; undefined when the table has none. */
export async function readRangeTombstonesBlock(reader: SstReader): Promise<StoredBlock | undefined> {
  const handle = reader.metaBlocks.get(RANGE_TOMBSTONES_BLOCK_NAME)
  const stored = await reader.readStoredMetaBlock(RANGE_TOMBSTONES_BLOCK_NAME)
  const content = await reader.readMetaBlock(RANGE_TOMBSTONES_BLOCK_NAME)
  if (handle === undefined || stored === undefined || content === undefined) return undefined
  const entries = reader.metadata.rangeTombstones.map(tombstoneEntry)
  return {
    ordinal: RANGE_TOMBSTONES,
    offset: handle.offset,
    ...trailerOf(stored, 'the block of range tombstones'),
    content,
    entryCount: entries.length,
    entry: (i) => entries[i] as SstEntry,
  }
}

function trailerOf(stored: Uint8Array, what: string): Pick<StoredBlock, 'storedBytes' | 'compression' | 'checksum'> {
  const trailer = new ByteReader(stored, `the trailer of ${what}`, stored.length - BLOCK_TRAILER_BYTES)
  const compression = compressionName(trailer.u8())
  return { storedBytes: stored.length, compression, checksum: trailer.u32() }
}

/** Offsets of the restart points, where keys are stored whole. */
export function restartPoints(content: Uint8Array): number[] {
  const packed = new ByteReader(content, 'a block', content.length - 4).u32()
  const count = packed >= HASH_INDEX_BIT ? packed - HASH_INDEX_BIT : packed
  let end = content.length - 4
  // RocksDB's hash index of a block: one byte a bucket, and their number.
  if (packed >= HASH_INDEX_BIT) end -= 2 + ((content[end - 2] as number) | ((content[end - 1] as number) << 8))
  const reader = new ByteReader(content, 'a block', end - count * 4, end)
  return Array.from({ length: count }, () => reader.u32())
}

/** The encoding of every entry of a block that has been decoded before, so that its lengths are known to be sound. */
export function* encodedEntries({ content, entryCount }: StoredBlock): Generator<EncodedEntry, void, undefined> {
  const restarts = new Set(restartPoints(content))
  const reader = new ByteReader(content, 'a block')
  for (let i = 0; i < entryCount; i++) {
    const offset = reader.position
    const sharedBytes = reader.varint()
    const storedKeyBytes = reader.varint()
    const valueBytes = reader.varint()
    reader.view(storedKeyBytes + valueBytes)
    yield { offset, encodedBytes: reader.position - offset, sharedBytes, storedKeyBytes, valueBytes, restart: restarts.has(offset) }
  }
}

function entryOf(block: DataBlock, i: number): SstEntry {
  return {
    key: block.keyBytes.subarray(block.keyStart(i), block.keyEnd(i)),
    seq: block.seq(i),
    kind: block.kind(i),
    value: block.valueBytes.subarray(block.valueStart(i), block.valueEnd(i)),
  }
}
