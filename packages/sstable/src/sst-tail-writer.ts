import { ByteWriter, concatBytes, utf8Encode } from '@moraine/base'
import { BlockBuilder } from './block/block-builder.ts'
import { CompressionType, compressionName } from './compression/compression-type.ts'
import { encodeFilter, FILTER_BLOCK_NAME } from './filter/filter-codec.ts'
import type { KeyFilter } from './filter/key-filter.ts'
import type { BlockHandle } from './format/block-handle.ts'
import { BLOCK_TRAILER_BYTES } from './format/block-trailer.ts'
import { ChecksumType } from './format/checksum.ts'
import { encodeFooter, FORMAT_VERSION } from './format/footer.ts'
import { BYTEWISE_COMPARATOR, ENVELOPED_VALUES, PROPERTIES_BLOCK_NAME, PropertyName } from './properties/property-names.ts'
import { PropertyWriter } from './properties/property-writer.ts'
import { RANGE_TOMBSTONES_BLOCK_NAME } from './range-tombstone/range-tombstone-block.ts'
import type { SstSummary } from './sst-summary.ts'
import type { SstWriterSettings } from './sst-writer-settings.ts'

/** What the tail says about the entries before it. */
export interface SstContents extends Omit<SstSummary, 'sizeBytes' | 'tailOffset' | 'tailCrc32c'> {
  readonly mergeCount: number
}

/** The blocks of a tail as far as they are made of more than counts; each but the filter with its trailer. */
export interface TailBlocks {
  readonly filter: KeyFilter | undefined
  readonly rangeTombstones: Uint8Array | undefined
  readonly index: Uint8Array
}

/**
 * Everything behind the data blocks, which end at `tailOffset`: filter, range tombstones, properties, metaindex, index,
 * footer.
 */
export function encodeSstTail(
  settings: SstWriterSettings,
  contents: SstContents,
  tailOffset: number,
  { filter, rangeTombstones, index }: TailBlocks,
): Uint8Array {
  const parts: Uint8Array[] = []
  let offset = tailOffset
  const append = (block: Uint8Array): BlockHandle => {
    const handle = { offset, size: block.length - BLOCK_TRAILER_BYTES }
    parts.push(block)
    offset += block.length
    return handle
  }
  const filterBlock = filter === undefined ? undefined : encodeFilter(filter)
  const filterHandle = filterBlock === undefined ? undefined : append(filterBlock)
  const tombstonesHandle = rangeTombstones === undefined ? undefined : append(rangeTombstones)
  const properties = encodeProperties(settings, contents, tailOffset, filterBlock?.length ?? 0, index.length)
  const propertiesHandle = append(properties)

  const metaindex = new BlockBuilder(1)
  if (filterHandle !== undefined) metaindex.add(utf8Encode(FILTER_BLOCK_NAME), encodeHandle(filterHandle))
  metaindex.add(utf8Encode(PROPERTIES_BLOCK_NAME), encodeHandle(propertiesHandle))
  if (tombstonesHandle !== undefined) metaindex.add(utf8Encode(RANGE_TOMBSTONES_BLOCK_NAME), encodeHandle(tombstonesHandle))
  const metaindexHandle = append(metaindex.finish())
  const indexHandle = append(index)
  parts.push(
    encodeFooter({
      checksumType: ChecksumType.crc32c,
      metaindex: metaindexHandle,
      index: indexHandle,
      formatVersion: FORMAT_VERSION,
    }),
  )
  return concatBytes(parts)
}

function encodeHandle(handle: BlockHandle): Uint8Array {
  return new ByteWriter(16).varint(handle.offset).varint(handle.size).finish()
}

function encodeProperties(
  settings: SstWriterSettings,
  contents: SstContents,
  dataSizeBytes: number,
  filterSizeBytes: number,
  indexSizeBytes: number,
): Uint8Array {
  const createdAtSeconds = Math.floor(settings.createdAtMs / 1000)
  const writer = new PropertyWriter()
  for (const [property, value] of Object.entries(settings.userProperties ?? {})) writer.text(property, value)
  writer
    .number(PropertyName.dataSize, dataSizeBytes)
    .number(PropertyName.indexSize, indexSizeBytes)
    .number(PropertyName.filterSize, filterSizeBytes)
    .number(PropertyName.rawKeySize, contents.rawKeyBytes)
    .number(PropertyName.rawValueSize, contents.rawValueBytes)
    .number(PropertyName.dataBlockCount, contents.dataBlockCount)
    .number(PropertyName.entryCount, contents.entryCount)
    .number(PropertyName.filterEntryCount, 0)
    .number(PropertyName.deletionCount, contents.deletionCount)
    .number(PropertyName.mergeCount, contents.mergeCount)
    .number(PropertyName.rangeDeletionCount, contents.rangeTombstoneCount)
    .number(PropertyName.formatVersion, 0)
    .number(PropertyName.fixedKeyLength, 0)
    .number(PropertyName.indexKeyIsUserKey, 0)
    .number(PropertyName.indexValueIsDelta, 0)
    .number(PropertyName.columnFamilyId, UNKNOWN_COLUMN_FAMILY)
    .number(PropertyName.creationTime, createdAtSeconds)
    .number(PropertyName.fileCreationTime, createdAtSeconds)
    .number(PropertyName.oldestKeyTime, 0)
    .text(PropertyName.comparator, BYTEWISE_COMPARATOR)
    .text(PropertyName.compression, compressionName(CompressionType[settings.compression]))
    .fixed32(PropertyName.indexType, 0)
    .text(PropertyName.wholeKeyFiltering, '1')
    .text(PropertyName.prefixFiltering, '0')
    .bytes(PropertyName.smallestKey, contents.smallestKey)
    .bytes(PropertyName.largestKey, contents.largestKey)
    .number(PropertyName.smallestSeq, contents.smallestSeq)
    .number(PropertyName.largestSeq, contents.largestSeq)
    .text(PropertyName.engineVersion, settings.engineVersion)
    .text(PropertyName.filter, filterSizeBytes > 0 ? FILTER_BLOCK_NAME : 'none')
  if (contents.largestKeyExcluded) writer.text(PropertyName.largestKeyExcluded, '1')
  if (settings.enveloped === true) writer.text(PropertyName.values, ENVELOPED_VALUES)
  if (settings.databaseId !== undefined) writer.text(PropertyName.databaseId, settings.databaseId)
  if (settings.externalFile === true) {
    writer.fixed32(PropertyName.externalVersion, EXTERNAL_FILE_VERSION).fixed64(PropertyName.externalGlobalSeq, 0)
  }
  return writer.finish()
}

/** RocksDB's number for a file that belongs to no column family yet. */
const UNKNOWN_COLUMN_FAMILY = 0x7fff_ffff

/** Version 2 has a global sequence number that ingestion may overwrite. */
const EXTERNAL_FILE_VERSION = 2
