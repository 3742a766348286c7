import { compareBytes } from '@moraine/base'
import { EntryKind, type RangeTombstone, type SstEntry, type SstReader } from '@moraine/sstable'
import type { SstDumpOptions } from './options.ts'

/** The range tombstones that touch the range, in the order of the file. */
export function rangeTombstones(reader: SstReader, { from, to }: Pick<SstDumpOptions, 'from' | 'to'>): RangeTombstone[] {
  return reader.metadata.rangeTombstones.filter(({ start, end }) => {
    return (to === undefined || compareBytes(start, to) < 0) && (from === undefined || compareBytes(end, from) > 0)
  })
}

/** A tombstone as it stands in its block: the key is the start, the value is the end, excluded. */
export function tombstoneEntry({ start, end, seq }: RangeTombstone): SstEntry {
  return { key: start, seq, kind: EntryKind.deleteRange, value: end }
}
