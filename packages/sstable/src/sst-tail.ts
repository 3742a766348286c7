import { ByteReader, crc32c, isMoraineError, utf8Decode } from '@moraine/base'
import { BlockCursor } from './block/block-cursor.ts'
import { decodeFilter, FILTER_BLOCK_NAME } from './filter/filter-codec.ts'
import type { BlockHandle } from './format/block-handle.ts'
import { BLOCK_TRAILER_BYTES, openBlock } from './format/block-trailer.ts'
import { ChecksumType } from './format/checksum.ts'
import { corruption } from './format/corruption.ts'
import { decodeFooter, FOOTER_BYTES, FORMAT_VERSION } from './format/footer.ts'
import { BlockIndexCollector, PLAIN_INDEX, visitIndex } from './index/parse-index.ts'
import { BYTEWISE_COMPARATOR, PROPERTIES_BLOCK_NAME } from './properties/property-names.ts'
import { decodeProperties } from './properties/sst-properties.ts'
import { decodeRangeTombstones, RANGE_TOMBSTONES_BLOCK_NAME } from './range-tombstone/range-tombstone-block.ts'
import { inTableOrder, NO_RANGE_TOMBSTONES, rangeTombstonesMemoryBytes } from './range-tombstone/range-tombstone.ts'
import type { SstMetadata, SstSource } from './sst-metadata.ts'

/**
 * Opens a table that Moraine wrote from its bytes [tailOffset, sizeBytes). Verifies every checksum, that the parts lie
 * inside the tail, that the data blocks fill [0, tailOffset) without a gap, that range tombstones are in order, and that
 * the properties agree with the index and the tombstones. Anything else is CORRUPTION, and the message names the file.
 */
export function parseSstTail(tail: Uint8Array, source: SstSource): SstMetadata {
  const { name, sizeBytes, tailOffset } = source
  if (tail.length !== sizeBytes - tailOffset) {
    throw corruption(name, `its tail has ${tail.length} bytes, ${sizeBytes - tailOffset} are expected`)
  }
  if (source.tailCrc32c !== undefined && crc32c(tail) !== source.tailCrc32c) {
    throw corruption(name, 'the checksum of its tail is not the one on record: it was damaged, or it is another file')
  }
  try {
    return parse(tail, source)
  } catch (error) {
    // A writer that never existed (another version, another format) is damage here: the owner knows what it wrote.
    if (isMoraineError(error, 'INVALID')) throw corruption(name, error.message, error)
    throw error
  }
}

function parse(tail: Uint8Array, source: SstSource): SstMetadata {
  const { name, tailOffset } = source
  const footer = decodeFooter(tail, name)
  if (footer.checksumType !== ChecksumType.crc32c || footer.formatVersion !== FORMAT_VERSION) {
    throw corruption(name, `it has format version ${footer.formatVersion} and checksum type ${footer.checksumType}`)
  }
  const open = (handle: BlockHandle, what: string): Uint8Array => {
    const start = handle.offset - tailOffset
    const end = start + handle.size + BLOCK_TRAILER_BYTES
    if (start < 0 || end > tail.length - FOOTER_BYTES) throw corruption(name, `${what} lies outside of its tail`)
    return openBlock(tail, start, end, footer.checksumType, name, what)
  }
  const metaindex = decodeMetaindex(open(footer.metaindex, 'the metaindex block'), name)
  const propertiesHandle = metaindex.get(PROPERTIES_BLOCK_NAME)
  if (propertiesHandle === undefined) throw corruption(name, 'it has no properties block')
  const properties = decodeProperties(open(propertiesHandle, 'the properties block'), name)
  if (properties.comparator !== BYTEWISE_COMPARATOR) {
    throw corruption(name, `its keys are ordered by ${properties.comparator ?? 'an unknown comparator'}`)
  }
  const filterHandle = metaindex.get(FILTER_BLOCK_NAME)
  if ((filterHandle === undefined ? 'none' : FILTER_BLOCK_NAME) !== (properties.filter ?? 'none')) {
    throw corruption(name, `its properties speak of filter ${properties.filter}, its metaindex does not`)
  }
  const filter = filterHandle === undefined ? undefined : decodeFilter(open(filterHandle, 'the filter block'), name)

  const tombstonesHandle = metaindex.get(RANGE_TOMBSTONES_BLOCK_NAME)
  const rangeTombstones =
    tombstonesHandle === undefined
      ? NO_RANGE_TOMBSTONES
      : decodeRangeTombstones(open(tombstonesHandle, 'the block of range tombstones'), name)
  if (!inTableOrder(rangeTombstones)) throw corruption(name, 'its range tombstones are not in order')
  if (rangeTombstones.length !== properties.rangeDeletionCount) {
    const stated = properties.rangeDeletionCount
    throw corruption(name, `it has ${rangeTombstones.length} range tombstones, its properties say ${stated}`)
  }

  const collector = new BlockIndexCollector(name, tailOffset)
  visitIndex(open(footer.index, 'the index block'), PLAIN_INDEX, name, (key, length, seq, handle) => {
    if (handle.offset !== collector.end) throw corruption(name, `its data blocks leave a gap at ${collector.end}`)
    collector.add(key, length, seq, handle)
  })
  const index = collector.finish()
  if (collector.end !== tailOffset || index.blockCount !== properties.dataBlockCount) {
    throw corruption(name, `its index has ${index.blockCount} blocks up to ${collector.end}, not what its properties say`)
  }
  return metadataOf({ index, filter, properties, rangeTombstones, checksumType: footer.checksumType })
}

/** Objects around the arrays, roughly. */
const METADATA_OVERHEAD_BYTES = 1500
const PROPERTY_OVERHEAD_BYTES = 150

/** What an opened table is, from what was read of it. */
export function metadataOf(parts: Omit<SstMetadata, 'enveloped' | 'memoryBytes'>): SstMetadata {
  const { index, filter, properties, rangeTombstones } = parts
  let memoryBytes = index.memoryBytes + (filter?.memoryBytes ?? 0) + METADATA_OVERHEAD_BYTES
  memoryBytes += rangeTombstonesMemoryBytes(rangeTombstones)
  for (const value of properties.raw.values()) memoryBytes += value.byteLength + PROPERTY_OVERHEAD_BYTES
  return { ...parts, enveloped: properties.enveloped, memoryBytes }
}

/** Handles of the blocks that are neither data nor index, by name. */
export function decodeMetaindex(content: Uint8Array, name: string): Map<string, BlockHandle> {
  const handles = new Map<string, BlockHandle>()
  const cursor = new BlockCursor(content, name, 'the metaindex block')
  while (cursor.next()) {
    const reader = new ByteReader(cursor.reader.view(cursor.valueSize), `metaindex block of table ${name}`)
    handles.set(utf8Decode(cursor.key.subarray(0, cursor.keyLength)), { offset: reader.varint(), size: reader.varint() })
    reader.expectEnd()
  }
  return handles
}
