/**
 * Names in the properties block. Numbers are varints unless noted; texts are UTF-8. `rocksdb.` names are RocksDB's,
 * which checks some of them when it opens or ingests a file.
 */
export const PropertyName = {
  dataSize: 'rocksdb.data.size',
  indexSize: 'rocksdb.index.size',
  filterSize: 'rocksdb.filter.size',
  rawKeySize: 'rocksdb.raw.key.size',
  rawValueSize: 'rocksdb.raw.value.size',
  dataBlockCount: 'rocksdb.num.data.blocks',
  entryCount: 'rocksdb.num.entries',
  filterEntryCount: 'rocksdb.num.filter_entries',
  deletionCount: 'rocksdb.deleted.keys',
  mergeCount: 'rocksdb.merge.operands',
  rangeDeletionCount: 'rocksdb.num.range-deletions',
  formatVersion: 'rocksdb.format.version',
  fixedKeyLength: 'rocksdb.fixed.key.length',
  indexKeyIsUserKey: 'rocksdb.index.key.is.user.key',
  indexValueIsDelta: 'rocksdb.index.value.is.delta.encoded',
  comparator: 'rocksdb.comparator',
  mergeOperator: 'rocksdb.merge.operator',
  compression: 'rocksdb.compression',
  columnFamilyId: 'rocksdb.column.family.id',
  columnFamilyName: 'rocksdb.column.family.name',
  creationTime: 'rocksdb.creation.time',
  fileCreationTime: 'rocksdb.file.creation.time',
  oldestKeyTime: 'rocksdb.oldest.key.time',
  /** u32 little-endian: 0 binary search, 1 hash search, 2 two levels, 3 binary search with first keys. */
  indexType: 'rocksdb.block.based.table.index.type',
  /** '0' or '1'. */
  wholeKeyFiltering: 'rocksdb.block.based.table.whole.key.filtering',
  prefixFiltering: 'rocksdb.block.based.table.prefix.filtering',
  /** u32 little-endian; a file with it can be ingested by RocksDB. */
  externalVersion: 'rocksdb.external_sst_file.version',
  /** u64 little-endian. */
  externalGlobalSeq: 'rocksdb.external_sst_file.global_seqno',

  /** Raw user keys. */
  smallestKey: 'moraine.key.smallest',
  largestKey: 'moraine.key.largest',
  smallestSeq: 'moraine.seq.smallest',
  largestSeq: 'moraine.seq.largest',
  engineVersion: 'moraine.engine.version',
  /** Name of the filter block, or 'none'. */
  filter: 'moraine.filter',
  databaseId: 'moraine.database.id',
  /** '1': the largest key is the end of a range tombstone, which is no key of the table. Absent otherwise. */
  largestKeyExcluded: 'moraine.key.largest.excluded',
  /** What values begin with: ENVELOPED_VALUES. Absent: values stand as they were given. */
  values: 'moraine.values',
} as const

export const PROPERTIES_BLOCK_NAME = 'rocksdb.properties'
/** The value of `moraine.values` in a table whose puts and merges begin with an envelope of the engine. */
export const ENVELOPED_VALUES = 'enveloped'
export const BYTEWISE_COMPARATOR = 'leveldb.BytewiseComparator'
