import type { SstEntry, SstReader } from '@moraine/sstable'
import type { TableSource } from '../source/table-object.ts'
import { withReader } from '../source/with-reader.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { entryJson, entryText } from '../text/entry-text.ts'
import type { SstDumpOptions } from './options.ts'
import { rangeTombstones, tombstoneEntry } from './range-tombstones.ts'

/** Every entry of the range, table after table. Range deletions, which stand in a block of their own, come first. */
export async function scan(source: TableSource, options: SstDumpOptions, { output }: Terminal): Promise<ExitCode> {
  const { notation, json } = options
  let left = options.limit
  for (const table of source.tables) {
    if (left === 0) break
    if (!source.single && !json) await output.line(`# ${table.label}`)
    await withReader(table, async (reader) => {
      for await (const entry of entriesOf(reader, options)) {
        if (left-- === 0) return
        const line = json
          ? JSON.stringify(source.single ? entryJson(entry, notation) : { table: table.label, ...entryJson(entry, notation) })
          : entryText(entry, notation)
        const wait = output.line(line)
        if (wait !== undefined) await wait
      }
    })
    left = Math.max(0, left)
  }
  return ExitCode.ok
}

async function* entriesOf(reader: SstReader, options: SstDumpOptions): AsyncGenerator<SstEntry> {
  const { from, to, reverse } = options
  yield* rangeTombstones(reader, options).map(tombstoneEntry)
  yield* reader.entries({ ...(from !== undefined && { from }), ...(to !== undefined && { to }), reverse })
}
