import { EntryKind } from '@moraine/sstable'

/**
 * The kinds of entries that stand in tables, in our words. The numbers above merge are RocksDB's ValueType and occur
 * only in its own files.
 */
const KIND_NAMES: ReadonlyMap<number, string> = new Map([
  [EntryKind.delete, 'delete'],
  [EntryKind.put, 'put'],
  [EntryKind.merge, 'merge'],
  [0x07, 'single-delete'],
  [EntryKind.deleteRange, 'delete-range'],
  [0x11, 'blob-reference'],
  [0x14, 'delete-with-timestamp'],
  [0x16, 'wide-columns'],
  [0x18, 'put-with-write-time'],
])

/** Kinds whose entry has no value to show. */
const VALUELESS: ReadonlySet<number> = new Set([EntryKind.delete, 0x07, 0x14])

export function kindName(kind: number): string {
  return KIND_NAMES.get(kind) ?? `unknown-${kind}`
}

export function hasValue(kind: number): boolean {
  return !VALUELESS.has(kind)
}
