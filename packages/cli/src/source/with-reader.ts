import { SstReader } from '@moraine/sstable'
import { ReadAhead } from './read-ahead.ts'
import type { TableObject } from './table-object.ts'

/** Opens a table, hands its reader to `use`, and closes it whatever happens. `onRead` hears of every read, in bytes. */
export async function withReader<T>(
  table: TableObject,
  use: (reader: SstReader) => Promise<T>,
  onRead?: (bytes: number) => void,
): Promise<T> {
  await using access = await table.open()
  return await use(await SstReader.open(new ReadAhead(access, onRead), table.name))
}
