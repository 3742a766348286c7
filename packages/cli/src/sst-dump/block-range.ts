import type { SstReader } from '@moraine/sstable'
import type { SstDumpOptions } from './options.ts'

/** The data blocks that can hold keys of the range: [first, end). */
export function blockRange(reader: SstReader, { from, to }: Pick<SstDumpOptions, 'from' | 'to'>): { first: number; end: number } {
  const { index } = reader.metadata
  const newest = Number.MAX_SAFE_INTEGER
  const first = from === undefined ? 0 : index.findBlock(from, 0, from.length, newest)
  // The block that `to` leads to still starts below it.
  const end = to === undefined ? reader.blockCount : Math.min(index.findBlock(to, 0, to.length, newest) + 1, reader.blockCount)
  return { first, end: Math.max(first, end) }
}
