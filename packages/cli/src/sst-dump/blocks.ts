import { compareBytes } from '@moraine/base'
import type { SstReader } from '@moraine/sstable'
import type { TableSource } from '../source/table-object.ts'
import { withReader } from '../source/with-reader.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { formatRatio } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { type Alignment, renderRow } from '../terminal/text-table.ts'
import { abbreviated, formatBytesAs } from '../text/bytes-notation.ts'
import { RANGE_TOMBSTONES, readRangeTombstonesBlock, readStoredBlock, type StoredBlock } from './block-layout.ts'
import { blockRange } from './block-range.ts'
import { type Finding, findingOf, headline } from './finding.ts'
import type { SstDumpOptions } from './options.ts'
import { rangeTombstones } from './range-tombstones.ts'

const HEAD = ['BLOCK', 'OFFSET', 'STORED', 'RAW', 'RATIO', 'CODEC', 'ENTRIES', 'FIRST KEY', 'LAST KEY'] as const
const ALIGNMENTS: readonly Alignment[] = ['right', 'right', 'right', 'right', 'right', 'left', 'right', 'left', 'left']
const SHOWN_KEY_BYTES = 40

/** A line for each data block of the range, and one for its range tombstones. A block that cannot be read is shown as such, and the others still are. */
export async function blocks(source: TableSource, options: SstDumpOptions, terminal: Terminal): Promise<ExitCode> {
  let left = options.limit
  let damaged = false
  for (const table of source.tables) {
    if (left === 0) break
    if (!source.single && !options.json) await terminal.output.line(`# ${table.label}`)
    await withReader(table, async (reader) => {
      const { first, end } = blockRange(reader, options)
      const shownEnd = Math.min(end, first + left)
      left -= shownEnd - first
      const print = options.json ? jsonPrinter(source.single ? undefined : table.label, options) : textPrinter(reader, options)
      for (let ordinal = first; ordinal < shownEnd; ordinal++) {
        const row = await blockRow(reader, ordinal)
        if ('problem' in row) damaged = true
        const wait = print(row, terminal)
        if (wait !== undefined) await wait
      }
      const touched = left > 0 && rangeTombstones(reader, options).length > 0
      const ranges = touched ? await readRangeTombstonesBlock(reader) : undefined
      if (ranges === undefined) return
      left--
      const wait = print(rangesRow(reader, ranges), terminal)
      if (wait !== undefined) await wait
    })
  }
  return damaged ? ExitCode.problem : ExitCode.ok
}

interface BlockRow {
  readonly ordinal: StoredBlock['ordinal']
  readonly offset: number
  readonly storedBytes: number
  readonly uncompressedBytes: number
  readonly compression: string
  readonly entries: number
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

interface BadBlockRow extends Finding {
  readonly ordinal: number
  readonly offset: number
  readonly storedBytes: number
}

type PrintRow = (row: BlockRow | BadBlockRow, terminal: Terminal) => Promise<void> | undefined

async function blockRow(reader: SstReader, ordinal: number): Promise<BlockRow | BadBlockRow> {
  try {
    const stored = await readStoredBlock(reader, ordinal)
    return rowOf(stored, stored.entry(0).key, stored.entry(stored.entryCount - 1).key)
  } catch (error) {
    const finding = findingOf(error, reader.name)
    if (finding === undefined) throw error
    const { index } = reader.metadata
    return { ordinal, offset: index.blockOffset(ordinal), storedBytes: index.blockLength(ordinal), ...finding }
  }
}

/** The keys of range tombstones are what they cover: from the smallest start up to the largest end, excluded. */
function rangesRow(reader: SstReader, stored: StoredBlock): BlockRow {
  const { rangeTombstones: all } = reader.metadata
  const smallest = all.reduce((least, { start }) => (compareBytes(start, least) < 0 ? start : least), stored.entry(0).key)
  const largest = all.reduce((most, { end }) => (compareBytes(end, most) > 0 ? end : most), stored.entry(0).value)
  return rowOf(stored, smallest, largest)
}

function rowOf(stored: StoredBlock, firstKey: Uint8Array, lastKey: Uint8Array): BlockRow {
  const { ordinal, offset, storedBytes, content, compression, entryCount } = stored
  return { ordinal, offset, storedBytes, uncompressedBytes: content.length, compression, entries: entryCount, firstKey, lastKey }
}

function jsonPrinter(table: string | undefined, { notation }: SstDumpOptions): PrintRow {
  return (row, { output }) => {
    const { ordinal, ...rest } = row
    const shown =
      'problem' in rest
        ? rest
        : { ...rest, firstKey: formatBytesAs(rest.firstKey, notation), lastKey: formatBytesAs(rest.lastKey, notation) }
    return output.line(JSON.stringify({ ...(table !== undefined && { table }), block: ordinal, ...shown }))
  }
}

/** Rows are printed as they are read, so the widths come from the index, which knows the largest figures. */
function textPrinter(reader: SstReader, { notation }: SstDumpOptions): PrintRow {
  const digits = (value: number): number => String(value).length
  const offsetWidth = digits(reader.sizeBytes)
  const widths = [Math.max(digits(reader.blockCount), RANGE_TOMBSTONES.length), offsetWidth, 8, 8, 6, 5, 7, SHOWN_KEY_BYTES + 2].map((width, i) => {
    return Math.max(width, (HEAD[i] as string).length)
  })
  let headed = false
  return (row, { output }) => {
    if (!headed) void output.line(renderRow(HEAD, widths, ALIGNMENTS))
    headed = true
    const place = [String(row.ordinal), String(row.offset), String(row.storedBytes)]
    if ('problem' in row) return output.line(`${renderRow(place, widths, ALIGNMENTS)}  ${headline(row.verdict)}: ${row.problem}`)
    const cells = [
      ...place,
      String(row.uncompressedBytes),
      formatRatio(row.uncompressedBytes, row.storedBytes),
      row.compression,
      String(row.entries),
      abbreviated(row.firstKey, notation, SHOWN_KEY_BYTES),
      abbreviated(row.lastKey, notation, SHOWN_KEY_BYTES),
    ]
    return output.line(renderRow(cells, widths, ALIGNMENTS))
  }
}
