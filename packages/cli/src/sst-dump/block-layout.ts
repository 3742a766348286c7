import { ByteReader } from '@moraine/base'
import type { DataBlock, SstReader } from '@moraine/sstable'
import { BLOCK_TRAILER_BYTES, compressionName } from './format-names.ts'

/** One data block as it stands in the file. */
export interface StoredBlock {
  readonly ordinal: number
  readonly offset: number
  /** With the trailer: what the block takes in the file. */
  readonly storedBytes: number
  readonly compression: string
  /** The checksum as stored. */
  readonly checksum: number
  readonly uncompressedBytes: number
  readonly block: DataBlock
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
  const trailer = new ByteReader(stored, `the trailer of data block ${ordinal}`, stored.length - BLOCK_TRAILER_BYTES)
  const compression = compressionName(trailer.u8())
  const block = await reader.readBlock(ordinal)
  return {
    ordinal,
    offset: reader.metadata.index.blockOffset(ordinal),
    storedBytes: stored.length,
    compression,
    checksum: trailer.u32(),
    // A decoded block keeps its values where they were: in the uncompressed contents.
    uncompressedBytes: block.valueBytes.length,
    block,
  }
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
export function* encodedEntries(block: DataBlock): Generator<EncodedEntry, void, undefined> {
  const content = block.valueBytes
  const restarts = new Set(restartPoints(content))
  const reader = new ByteReader(content, 'a block')
  for (let i = 0; i < block.entryCount; i++) {
    const offset = reader.position
    const sharedBytes = reader.varint()
    const storedKeyBytes = reader.varint()
    const valueBytes = reader.varint()
    reader.view(storedKeyBytes + valueBytes)
    yield { offset, encodedBytes: reader.position - offset, sharedBytes, storedKeyBytes, valueBytes, restart: restarts.has(offset) }
  }
}

/** Entry i of a block, in arrays that share the block's memory. */
export function entryOf(block: DataBlock, i: number): { key: Uint8Array; seq: number; kind: number; value: Uint8Array } {
  return {
    key: keyOf(block, i),
    seq: block.seq(i),
    kind: block.kind(i),
    value: block.valueBytes.subarray(block.valueStart(i), block.valueEnd(i)),
  }
}

export function keyOf(block: DataBlock, i: number): Uint8Array {
  return block.keyBytes.subarray(block.keyStart(i), block.keyEnd(i))
}
