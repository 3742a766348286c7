import type { SstReader } from '@moraine/sstable'
import type { TableSource } from '../source/table-object.ts'
import { withReader } from '../source/with-reader.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatCount } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import type { BytesNotation } from '../text/bytes-notation.ts'
import { entryJson, entryText } from '../text/entry-text.ts'
import { encodedEntries, readRangeTombstonesBlock, readStoredBlock, restartPoints, type StoredBlock } from './block-layout.ts'
import { blockRange } from './block-range.ts'
import type { SstDumpOptions } from './options.ts'
import { rangeTombstones } from './range-tombstones.ts'

/** Every block of the range with every entry in it, as they are encoded; range tombstones last. Blocks are shown whole. */
export async function raw(source: TableSource, options: SstDumpOptions, { output }: Terminal): Promise<ExitCode> {
  let left = options.limit
  for (const table of source.tables) {
    if (left === 0) break
    if (!source.single && !options.json) await output.line(`# ${table.label}`)
    await withReader(table, async (reader) => {
      for await (const line of rawLines(reader, options, left)) {
        if (line.isEntry) left--
        const wait = output.line(
          options.json ? JSON.stringify(source.single ? line.json() : { table: table.label, ...line.json() }) : line.text(),
        )
        if (wait !== undefined) await wait
      }
    })
  }
  return ExitCode.ok
}

interface RawLine {
  readonly isEntry: boolean
  text(): string
  json(): object
}

async function* rawLines(reader: SstReader, options: SstDumpOptions, limit: number): AsyncGenerator<RawLine> {
  const { notation } = options
  const { first, end } = blockRange(reader, options)
  let left = limit
  for (let ordinal = first; ordinal < end && left > 0; ordinal++) {
    for (const line of blockLines(await readStoredBlock(reader, ordinal), notation, left)) {
      if (line.isEntry) left--
      yield line
    }
  }
  // It stands behind the data blocks in the file, too.
  const touched = left > 0 && rangeTombstones(reader, options).length > 0
  const ranges = touched ? await readRangeTombstonesBlock(reader) : undefined
  if (ranges !== undefined) yield* blockLines(ranges, notation, left)
}

/** A line about the block and up to `limit` about its entries. */
function* blockLines(stored: StoredBlock, notation: BytesNotation, limit: number): Generator<RawLine> {
  yield blockLine(stored)
  let i = 0
  for (const encoded of encodedEntries(stored)) {
    if (i === limit) return
    const entry = stored.entry(i++)
    yield {
      isEntry: true,
      text: () => {
        const { offset, encodedBytes, sharedBytes, storedKeyBytes, valueBytes, restart } = encoded
        const at = `${restart ? '>' : ' '} +${String(offset).padEnd(6)}`
        const sizes = `${encodedBytes} = ${encodedBytes - storedKeyBytes - valueBytes}+${storedKeyBytes}+${valueBytes}`
        return `${at} shared ${String(sharedBytes).padEnd(4)} bytes ${sizes.padEnd(18)} ${entryText(entry, notation)}`
      },
      json: () => ({ block: stored.ordinal, ...encoded, ...entryJson(entry, notation) }),
    }
  }
}

function blockLine(stored: StoredBlock): RawLine {
  const { ordinal, offset, storedBytes, content, compression, checksum, entryCount } = stored
  const restarts = restartPoints(content)
  const hex = `0x${checksum.toString(16).padStart(8, '0')}`
  return {
    isEntry: false,
    text: () =>
      `block ${ordinal}  at ${offset}  ${formatCount(storedBytes)} bytes stored (compression ${compression}, checksum ${hex}), ` +
      `${formatCount(content.length)} uncompressed, ${counted(entryCount, 'entry', 'entries')}, ` +
      `${counted(restarts.length, 'restart point')}`,
    json: () => ({
      block: ordinal,
      offset,
      storedBytes,
      uncompressedBytes: content.length,
      compression,
      checksum: hex,
      entries: entryCount,
      restartPoints: restarts,
    }),
  }
}
