import { ByteReader, ByteWriter } from '@moraine/base'
import type { BlockHandle } from './block-handle.ts'
import { CHECKSUM_NAMES } from './checksum.ts'
import { corruption, unsupported } from './corruption.ts'

/*
 * A table file (RocksDB's block-based format, version 5):
 *
 *   0            data block 0      | trailer      entries in internal order: user key ascending, newest first
 *                data block 1      | trailer
 *                ...
 *   tailOffset   filter block      | trailer      (optional) metaindex name moraine.filter...
 *                range tombstones  | trailer      (optional) metaindex name rocksdb.range_del
 *                properties block  | trailer      metaindex name rocksdb.properties
 *                metaindex block   | trailer      name -> handle of every block that is neither data nor index
 *                index block       | trailer      separator internal key -> handle of each data block
 *                footer            53 bytes
 *   sizeBytes
 *
 * Everything from tailOffset on is fetched by one ranged read when a table is opened.
 *
 *   trailer:  compression type (1) | masked CRC-32C of block and compression type, little-endian (4)
 *   footer:   checksum type (1) | metaindex handle, index handle (varints), zeros up to 41 bytes |
 *             format version, little-endian (4) | magic number, little-endian (8)
 */
export const FOOTER_BYTES = 53
export const FORMAT_VERSION = 5

const MAGIC_LOW = 0x85f4cff7
const MAGIC_HIGH = 0x88e241b7
const LEGACY_MAGIC_LOW = 0x8b80fb57
const LEGACY_MAGIC_HIGH = 0xdb477524
const HANDLES_END = 41

/** Versions whose footer, trailers and compressed blocks have the layout above. */
const OLDEST_READABLE_VERSION = 2

export interface Footer {
  readonly checksumType: number
  readonly metaindex: BlockHandle
  readonly index: BlockHandle
  readonly formatVersion: number
}

export function encodeFooter(footer: Footer): Uint8Array {
  const writer = new ByteWriter(FOOTER_BYTES)
  writer.u8(footer.checksumType)
  writer.varint(footer.metaindex.offset).varint(footer.metaindex.size)
  writer.varint(footer.index.offset).varint(footer.index.size)
  while (writer.length < HANDLES_END) writer.u8(0)
  return writer.u32(footer.formatVersion).u32(MAGIC_LOW).u32(MAGIC_HIGH).finish()
}

/** Reads the footer from the last {@link FOOTER_BYTES} of `bytes`. */
export function decodeFooter(bytes: Uint8Array, name: string): Footer {
  const what = `footer of table ${name}`
  const start = bytes.length - FOOTER_BYTES
  if (start < 0) throw corruption(name, `${bytes.length} bytes are too few for a table`)
  const tail = new ByteReader(bytes, what, start + HANDLES_END)
  const formatVersion = tail.u32()
  const magicLow = tail.u32()
  const magicHigh = tail.u32()
  if (magicLow === LEGACY_MAGIC_LOW && magicHigh === LEGACY_MAGIC_HIGH) {
    throw unsupported(name, 'it has the table format of LevelDB; rewrite it as format version 5')
  }
  if (magicLow !== MAGIC_LOW || magicHigh !== MAGIC_HIGH) {
    throw corruption(name, 'the magic number at its end is missing: it was cut, or it is no block-based table')
  }
  if (formatVersion < OLDEST_READABLE_VERSION || formatVersion > FORMAT_VERSION) {
    throw unsupported(name, `format version ${formatVersion} is not one of ${OLDEST_READABLE_VERSION} to ${FORMAT_VERSION}`)
  }
  const reader = new ByteReader(bytes, what, start, start + HANDLES_END)
  const checksumType = reader.u8()
  if (checksumType >= CHECKSUM_NAMES.length) throw unsupported(name, `unsupported checksum type ${checksumType}`)
  const metaindex = { offset: reader.varint(), size: reader.varint() }
  const index = { offset: reader.varint(), size: reader.varint() }
  // The padding has no meaning, yet a bit that flipped there is still a damaged file.
  while (reader.remaining > 0) if (reader.u8() !== 0) throw corruption(name, 'the padding of its footer is not zero')
  return { checksumType, metaindex, index, formatVersion }
}
