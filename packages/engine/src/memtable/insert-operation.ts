import { EntryKind } from '@moraine/sstable'
import type { Memtable } from './memtable.ts'

/** Adds one operation of a batch or of a log record to a memtable; copies what it keeps of `bytes`. */
export function insertOperation(
  memtable: Memtable,
  seq: number,
  kind: number,
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
): void {
  if (kind === EntryKind.deleteRange) memtable.deleteRange(seq, bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd))
  else memtable.insert(seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
}
