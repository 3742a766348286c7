import { EntryKind } from '../entry-kind.ts'
import { openBlock } from '../format/block-trailer.ts'
import { corruption } from '../format/corruption.ts'
import type { SstMetadata } from '../sst-metadata.ts'
import type { DataBlock } from './data-block.ts'
import { decodeDataBlock } from './data-block-decoder.ts'

/**
 * Verifies and decodes data block `ordinal` of a table from its bytes as stored, trailer included. Besides checksum
 * and order, the entries must lie between the separators of the index, so that a whole block in the wrong place is
 * seen. The result retains `bytes` only when they are an array of exactly their own.
 */
export function decodeBlock(bytes: Uint8Array, metadata: SstMetadata, ordinal: number, name: string): DataBlock {
  const block = decodeAnyBlock(bytes, metadata, ordinal, name)
  for (let i = 0; i < block.entryCount; i++) {
    const kind = block.kind(i)
    if (kind > EntryKind.merge) {
      throw corruption(name, `entry ${i} of data block ${ordinal} has kind ${kind}, which does not stand in a table`)
    }
  }
  return block
}

/** The same for tables of any writer: entries may have kinds that Moraine does not know. */
export function decodeAnyBlock(bytes: Uint8Array, metadata: SstMetadata, ordinal: number, name: string): DataBlock {
  const what = `data block ${ordinal}`
  const { index } = metadata
  if (bytes.length !== index.blockLength(ordinal)) {
    throw corruption(name, `${what} has ${bytes.length} bytes, its index says ${index.blockLength(ordinal)}`)
  }
  let content = openBlock(bytes, 0, bytes.length, metadata.checksumType, name, what)
  // A raw block is a view of what was read; that may be one part of a larger download.
  if (content.buffer === bytes.buffer && bytes.buffer.byteLength !== bytes.byteLength) content = new Uint8Array(content)
  const block = decodeDataBlock(content, name, what)
  const last = block.entryCount - 1
  if (last < 0) throw corruption(name, `${what} is empty`)
  const { keyBytes } = block
  const afterEnd = index.compareSeparator(ordinal, keyBytes, block.keyStart(last), block.keyEnd(last), block.seq(last)) < 0
  const beforeStart =
    ordinal > 0 && index.compareSeparator(ordinal - 1, keyBytes, block.keyStart(0), block.keyEnd(0), block.seq(0)) >= 0
  if (afterEnd || beforeStart) throw corruption(name, `${what} holds keys of another place in the table`)
  return block
}
