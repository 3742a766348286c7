import { ByteReader, utf8Decode } from '@moraine/base'
import { BlockCursor } from '../block/block-cursor.ts'
import { corruption, unsupported } from '../format/corruption.ts'
import { ENVELOPED_VALUES, PropertyName } from './property-names.ts'

/** What a table says about itself. Fields are undefined when the table does not say (RocksDB's own files lack ours). */
export interface SstProperties {
  /** Range deletions included, which stand in a block of their own. */
  readonly entryCount: number
  /** Entries of kind delete, and range deletions. */
  readonly deletionCount: number
  readonly mergeCount: number
  readonly rangeDeletionCount: number
  readonly dataBlockCount: number
  /** Bytes of the data blocks as stored, trailers included. */
  readonly dataSizeBytes: number
  readonly indexSizeBytes: number
  readonly filterSizeBytes: number
  /** Uncompressed bytes of all internal keys: user keys and eight bytes each. */
  readonly rawKeyBytes: number
  readonly rawValueBytes: number
  readonly comparator: string | undefined
  readonly mergeOperator: string | undefined
  readonly compression: string | undefined
  /** Seconds since the Unix epoch. */
  readonly creationTimeSeconds: number | undefined
  readonly indexType: number
  readonly indexKeyIsUserKey: boolean
  readonly indexValueIsDelta: boolean
  readonly externalFile: boolean
  readonly smallestKey: Uint8Array | undefined
  readonly largestKey: Uint8Array | undefined
  /** The largest key is the end of a range deletion, and no key of the table. */
  readonly largestKeyExcluded: boolean
  readonly smallestSeq: number | undefined
  readonly largestSeq: number | undefined
  readonly engineVersion: string | undefined
  readonly filter: string | undefined
  readonly databaseId: string | undefined
  /** The value of every put and merge begins with an envelope of the engine. */
  readonly enveloped: boolean
  /** Every property as stored, in the order of the file. */
  readonly raw: ReadonlyMap<string, Uint8Array>
}

export function decodeProperties(content: Uint8Array, name: string): SstProperties {
  const raw = new Map<string, Uint8Array>()
  const cursor = new BlockCursor(content, name, 'the properties block')
  while (cursor.next()) {
    raw.set(utf8Decode(cursor.key.subarray(0, cursor.keyLength)), cursor.reader.bytes(cursor.valueSize))
  }
  const number = (property: string): number | undefined => {
    const value = raw.get(property)
    if (value === undefined) return undefined
    const reader = new ByteReader(value, `property ${property} of table ${name}`)
    const result = reader.varint()
    reader.expectEnd()
    return result
  }
  const count = (property: string): number => number(property) ?? 0
  const text = (property: string): string | undefined => {
    const value = raw.get(property)
    return value === undefined ? undefined : utf8Decode(value)
  }
  const indexType = raw.get(PropertyName.indexType)
  const entryCount = number(PropertyName.entryCount)
  if (entryCount === undefined) throw corruption(name, 'its properties do not say how many entries it has')
  // Values taken for what they are not would be wrong answers.
  const values = text(PropertyName.values)
  if (values !== undefined && values !== ENVELOPED_VALUES) throw unsupported(name, `its values are of an unknown form, ${values}`)
  return {
    entryCount,
    deletionCount: count(PropertyName.deletionCount),
    mergeCount: count(PropertyName.mergeCount),
    rangeDeletionCount: count(PropertyName.rangeDeletionCount),
    dataBlockCount: count(PropertyName.dataBlockCount),
    dataSizeBytes: count(PropertyName.dataSize),
    indexSizeBytes: count(PropertyName.indexSize),
    filterSizeBytes: count(PropertyName.filterSize),
    rawKeyBytes: count(PropertyName.rawKeySize),
    rawValueBytes: count(PropertyName.rawValueSize),
    comparator: text(PropertyName.comparator),
    mergeOperator: text(PropertyName.mergeOperator),
    compression: text(PropertyName.compression),
    creationTimeSeconds: number(PropertyName.creationTime),
    indexType: indexType === undefined ? 0 : new ByteReader(indexType, `index type of table ${name}`).u32(),
    indexKeyIsUserKey: count(PropertyName.indexKeyIsUserKey) !== 0,
    indexValueIsDelta: count(PropertyName.indexValueIsDelta) !== 0,
    externalFile: raw.has(PropertyName.externalVersion),
    smallestKey: raw.get(PropertyName.smallestKey),
    largestKey: raw.get(PropertyName.largestKey),
    largestKeyExcluded: text(PropertyName.largestKeyExcluded) === '1',
    smallestSeq: number(PropertyName.smallestSeq),
    largestSeq: number(PropertyName.largestSeq),
    engineVersion: text(PropertyName.engineVersion),
    filter: text(PropertyName.filter),
    databaseId: text(PropertyName.databaseId),
    enveloped: values === ENVELOPED_VALUES,
    raw,
  }
}
