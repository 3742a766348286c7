import { compareBytes } from '@moraine/base'
import { EntryKind, type SstEntry, type SstReader } from '@moraine/sstable'
import type { SstDumpOptions } from './options.ts'

/** The range tombstones that touch the range, as entries: the key is the start, the value is the end, excluded. */
export function rangeTombstones(reader: SstReader, { from, to }: Pick<SstDumpOptions, 'from' | 'to'>): SstEntry[] {
  return reader.metadata.rangeTombstones
    .filter(({ start, end }) => {
      return (to === undefined || compareBytes(start, to) < 0) && (from === undefined || compareBytes(end, from) > 0)
    })
    .map(({ start, end, seq }) => ({ key: start, seq, kind: EntryKind.deleteRange, value: end }))
}
