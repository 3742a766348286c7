/**
 * What an entry does to its key. The numbers are RocksDB's ValueType, because they stand in the last byte of every
 * internal key of the table format; Moraine writes no private kinds.
 */
export const EntryKind = {
  delete: 0,
  put: 1,
  merge: 2,
  deleteRange: 0xf,
} as const

export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind]
