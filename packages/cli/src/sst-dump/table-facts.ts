import { FILTER_BLOCK_NAME, PropertyName, type SstReader } from '@moraine/sstable'
import { type BytesNotation, formatBytesAs } from '../text/bytes-notation.ts'
import { checksumName, indexTypeName } from './format-names.ts'
import { propertyValue } from './property-values.ts'

/** What a table says of itself, read without its data blocks. Absent fields are those that its writer did not store. */
export interface TableFacts {
  readonly table: string
  readonly sizeBytes: number
  readonly formatVersion: number
  readonly checksum: string
  readonly compression: string | undefined
  readonly engineVersion: string | undefined
  readonly databaseId: string | undefined
  readonly createdAtSeconds: number | undefined
  readonly comparator: string | undefined
  readonly mergeOperator: string | undefined
  readonly entries: number
  readonly deletions: number
  readonly merges: number
  readonly rangeDeletions: number
  /** Values begin with an envelope of the engine, which is shown with them. */
  readonly enveloped: boolean
  readonly smallestKey: string | undefined
  readonly largestKey: string | undefined
  /** The largest key is the end of a range deletion, and no key of the table. */
  readonly largestKeyExcluded: boolean
  readonly smallestSeq: number | undefined
  readonly largestSeq: number | undefined
  readonly rawKeyBytes: number
  readonly rawValueBytes: number
  readonly dataBlocks: number
  readonly dataBytes: number
  readonly indexType: string
  readonly indexBytes: number
  readonly filter: { readonly name: string; readonly bytes: number; readonly bitsPerKey: number; readonly hashes: number } | undefined
  /** Blocks that are neither data nor index; handles leave out the trailer. */
  readonly metaBlocks: Readonly<Record<string, { readonly offset: number; readonly bytes: number }>>
  readonly index: { readonly offset: number; readonly bytes: number }
  readonly metaindex: { readonly offset: number; readonly bytes: number }
  /** Everything in the properties block, in its order. */
  readonly properties: Readonly<Record<string, number | string>>
}

export function tableFacts(reader: SstReader, label: string, notation: BytesNotation): TableFacts {
  const { footer, metadata, metaBlocks } = reader
  const { properties, filter } = metadata
  const key = (bytes: Uint8Array | undefined): string | undefined => bytes && formatBytesAs(bytes, notation)
  const handle = ({ offset, size }: { offset: number; size: number }): { offset: number; bytes: number } => ({ offset, bytes: size })
  return {
    table: label,
    sizeBytes: reader.sizeBytes,
    formatVersion: footer.formatVersion,
    checksum: checksumName(footer.checksumType),
    compression: properties.compression,
    engineVersion: properties.engineVersion,
    databaseId: properties.databaseId,
    createdAtSeconds: properties.creationTimeSeconds,
    comparator: properties.comparator,
    mergeOperator: properties.mergeOperator,
    entries: properties.entryCount,
    deletions: properties.deletionCount,
    merges: properties.mergeCount,
    rangeDeletions: properties.rangeDeletionCount,
    enveloped: metadata.enveloped,
    smallestKey: key(properties.smallestKey),
    largestKey: key(properties.largestKey),
    largestKeyExcluded: properties.largestKeyExcluded,
    smallestSeq: properties.smallestSeq,
    largestSeq: properties.largestSeq,
    rawKeyBytes: properties.rawKeyBytes,
    rawValueBytes: properties.rawValueBytes,
    dataBlocks: reader.blockCount,
    dataBytes: reader.dataEnd,
    indexType: indexTypeName(properties.indexType),
    indexBytes: footer.index.size,
    filter: filter && {
      name: FILTER_BLOCK_NAME,
      bytes: filter.memoryBytes,
      bitsPerKey: round(filter.bitCount / Math.max(1, filteredKeys(reader))),
      hashes: filter.hashCount,
    },
    metaBlocks: Object.fromEntries([...metaBlocks].map(([name, block]) => [name, handle(block)])),
    index: handle(footer.index),
    metaindex: handle(footer.metaindex),
    properties: Object.fromEntries(
      [...properties.raw].map(([name, value]) => [name, propertyValue(name, value, notation)]),
    ),
  }
}

/** Distinct keys, where the writer counted them: versions of one key share their bits. */
function filteredKeys({ metadata: { properties } }: SstReader): number {
  const stored = properties.raw.get(PropertyName.filterEntryCount)
  const counted = stored === undefined ? undefined : propertyValue(PropertyName.filterEntryCount, stored, 'text')
  return typeof counted === 'number' && counted > 0 ? counted : properties.entryCount - properties.rangeDeletionCount
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
