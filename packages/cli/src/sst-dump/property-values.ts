import { ByteReader, toHex } from '@moraine/base'
import { PropertyName } from '@moraine/sstable'
import { type BytesNotation, formatBytesAs, quoted } from '../text/bytes-notation.ts'

type Encoding = 'varint' | 'u32' | 'u64' | 'text' | 'key' | 'unknown'

/** Properties whose encoding is not that of the others with their prefix. */
const ENCODINGS: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  [PropertyName.comparator, 'text'],
  [PropertyName.mergeOperator, 'text'],
  [PropertyName.compression, 'text'],
  [PropertyName.columnFamilyName, 'text'],
  [PropertyName.wholeKeyFiltering, 'text'],
  [PropertyName.prefixFiltering, 'text'],
  [PropertyName.indexType, 'u32'],
  [PropertyName.externalVersion, 'u32'],
  [PropertyName.externalGlobalSeq, 'u64'],
  [PropertyName.smallestKey, 'key'],
  [PropertyName.largestKey, 'key'],
  [PropertyName.largestKeyExcluded, 'text'],
  [PropertyName.values, 'text'],
  [PropertyName.smallestSeq, 'varint'],
  [PropertyName.largestSeq, 'varint'],
  // Names that only RocksDB writes.
  ['rocksdb.compression_options', 'text'],
  ['rocksdb.creating.db.identity', 'text'],
  ['rocksdb.creating.host.identity', 'text'],
  ['rocksdb.creating.session.identity', 'text'],
  ['rocksdb.filter.policy', 'text'],
  ['rocksdb.prefix.extractor.name', 'text'],
  ['rocksdb.property.collectors', 'text'],
  ['rocksdb.seqno.time.map', 'unknown'],
])

function encodingOf(name: string): Encoding {
  return ENCODINGS.get(name) ?? (name.startsWith('rocksdb.') ? 'varint' : 'unknown')
}

/** A property as a number, or as text; what does not decode as it should is shown as it is stored. */
export function propertyValue(name: string, value: Uint8Array, notation: BytesNotation): number | string {
  switch (encodingOf(name)) {
    case 'key':
      return formatBytesAs(value, notation)
    case 'text':
      return formatBytesAs(value, 'text')
    case 'unknown':
      return isPrintable(value) ? formatBytesAs(value, 'text') : `0x${toHex(value)}`
    case 'varint':
      return number(value, (reader) => reader.varint())
    case 'u32':
      return number(value, (reader) => reader.u32())
    case 'u64':
      return number(value, (reader) => reader.u64())
  }
}

/** The same for a line of text. */
export function propertyText(name: string, value: Uint8Array, notation: BytesNotation): string {
  return encodingOf(name) === 'key' ? quoted(value, notation) : String(propertyValue(name, value, notation))
}

function number(value: Uint8Array, read: (reader: ByteReader) => number): number | string {
  try {
    const reader = new ByteReader(value, 'a property')
    const result = read(reader)
    reader.expectEnd()
    return result
  } catch {
    return `0x${toHex(value)}`
  }
}

function isPrintable(value: Uint8Array): boolean {
  return value.every((byte) => byte >= 0x20 && byte < 0x7f)
}
