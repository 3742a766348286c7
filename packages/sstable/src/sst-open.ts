import { decodeFilter, FILTER_BLOCK_NAME } from './filter/filter-codec.ts'
import type { BlockHandle } from './format/block-handle.ts'
import { BLOCK_TRAILER_BYTES, openBlock } from './format/block-trailer.ts'
import { corruption, unsupported } from './format/corruption.ts'
import { decodeFooter, FOOTER_BYTES, type Footer } from './format/footer.ts'
import { MAX_BLOCK_BYTES } from './format/limits.ts'
import { BlockIndexCollector, type IndexEncoding, visitIndex } from './index/parse-index.ts'
import { BYTEWISE_COMPARATOR, PROPERTIES_BLOCK_NAME } from './properties/property-names.ts'
import { decodeProperties } from './properties/sst-properties.ts'
import type { RandomAccess } from './random-access.ts'
import { decodeRangeTombstones, RANGE_TOMBSTONES_BLOCK_NAME } from './range-tombstone/range-tombstone-block.ts'
import { NO_RANGE_TOMBSTONES } from './range-tombstone/range-tombstone.ts'
import type { SstMetadata } from './sst-metadata.ts'
import { decodeMetaindex, metadataOf } from './sst-tail.ts'

/** What is read at the end of a file whose metadata may start anywhere. */
const FIRST_READ_BYTES = 64 * 1024

const IndexType = { binarySearch: 0, hashSearch: 1, twoLevel: 2, binarySearchWithFirstKey: 3 } as const

/** Blocks compressed against it need it, and it is not read here. */
const COMPRESSION_DICTIONARY_NAME = 'rocksdb.compression_dict'

export interface OpenedSst {
  readonly footer: Footer
  readonly metadata: SstMetadata
  /** Blocks that are neither data nor index, by name. */
  readonly metaBlocks: ReadonlyMap<string, BlockHandle>
  /** Where the last data block ends. */
  readonly dataEnd: number
}

/** Opens a table of any writer from nothing but its bytes: the footer says where the rest is. */
export async function openSst(access: RandomAccess, name: string): Promise<OpenedSst> {
  const windowStart = Math.max(0, access.sizeBytes - FIRST_READ_BYTES)
  const window = await readExactly(access, name, windowStart, access.sizeBytes - windowStart)
  const footer = decodeFooter(window, name)
  const open = async (handle: BlockHandle, what: string): Promise<Uint8Array> => {
    const length = handle.size + BLOCK_TRAILER_BYTES
    if (handle.size > MAX_BLOCK_BYTES || handle.offset + length > access.sizeBytes - FOOTER_BYTES) {
      throw corruption(name, `${what} lies outside of the file`)
    }
    const inWindow = handle.offset - windowStart
    const bytes =
      inWindow >= 0 ? window.subarray(inWindow, inWindow + length) : await readExactly(access, name, handle.offset, length)
    return openBlock(bytes, 0, length, footer.checksumType, name, what)
  }

  const metaBlocks = decodeMetaindex(await open(footer.metaindex, 'the metaindex block'), name)
  const propertiesHandle = metaBlocks.get(PROPERTIES_BLOCK_NAME)
  if (propertiesHandle === undefined) throw corruption(name, 'it has no properties block')
  const properties = decodeProperties(await open(propertiesHandle, 'the properties block'), name)
  if (properties.comparator !== BYTEWISE_COMPARATOR) {
    throw unsupported(name, `its keys are ordered by ${properties.comparator ?? 'an unnamed comparator'}, not bytewise`)
  }
  if (metaBlocks.has(COMPRESSION_DICTIONARY_NAME)) throw unsupported(name, 'it is compressed with a dictionary')

  const { indexType } = properties
  if (indexType > IndexType.binarySearchWithFirstKey) throw unsupported(name, `unknown index type ${indexType}`)
  const encoding: IndexEncoding = {
    keysAreUserKeys: properties.indexKeyIsUserKey,
    valuesAreDeltas: properties.indexValueIsDelta,
    hasFirstKey: indexType === IndexType.binarySearchWithFirstKey,
  }
  const collector = new BlockIndexCollector(name, access.sizeBytes - FOOTER_BYTES)
  const top = await open(footer.index, 'the index block')
  if (indexType === IndexType.twoLevel) {
    const partitions: BlockHandle[] = []
    visitIndex(top, encoding, name, (_key, _length, _seq, handle) => partitions.push(handle))
    for (const [i, partition] of partitions.entries()) {
      const content = await open(partition, `index partition ${i}`)
      visitIndex(content, encoding, name, (key, length, seq, handle) => collector.add(key, length, seq, handle))
    }
  } else {
    visitIndex(top, encoding, name, (key, length, seq, handle) => collector.add(key, length, seq, handle))
  }
  const index = collector.finish()
  const filterHandle = metaBlocks.get(FILTER_BLOCK_NAME)
  const filter = filterHandle === undefined ? undefined : decodeFilter(await open(filterHandle, 'the filter block'), name)
  const tombstonesHandle = metaBlocks.get(RANGE_TOMBSTONES_BLOCK_NAME)
  const rangeTombstones =
    tombstonesHandle === undefined
      ? NO_RANGE_TOMBSTONES
      : decodeRangeTombstones(await open(tombstonesHandle, 'the block of range tombstones'), name)
  const metadata = metadataOf({ index, filter, properties, rangeTombstones, checksumType: footer.checksumType })
  return { footer, metadata, metaBlocks, dataEnd: collector.end }
}

/** Reads a range that must be there. */
export async function readExactly(access: RandomAccess, name: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await access.read(offset, length)
  if (bytes.length !== length) {
    throw corruption(name, `${length} bytes at ${offset} are wanted, ${bytes.length} came: the file was cut`)
  }
  return bytes
}
