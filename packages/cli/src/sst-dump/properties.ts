import type { SstReader } from '@moraine/sstable'
import { inOrder } from '../source/in-order.ts'
import type { TableObject, TableSource } from '../source/table-object.ts'
import { withReader } from '../source/with-reader.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount, formatRatio } from '../terminal/figures.ts'
import { ProgressBar } from '../terminal/progress-bar.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { type Alignment, renderTable } from '../terminal/text-table.ts'
import { abbreviated, type BytesNotation } from '../text/bytes-notation.ts'
import { type Finding, findingOf, headline } from './finding.ts'
import type { SstDumpOptions } from './options.ts'
import { propertiesText } from './properties-text.ts'
import { tableFacts, type TableFacts } from './table-facts.ts'

/** Tables whose tails are read at the same time. */
const CONCURRENCY = 16
const SHOWN_KEY_BYTES = 32

/** A page about one table, or a line about each of several and their total. */
export async function properties(source: TableSource, options: SstDumpOptions, terminal: Terminal): Promise<ExitCode> {
  const [only] = source.tables
  return source.single && only !== undefined ? one(only, options, terminal) : many(source.tables, options, terminal)
}

async function one(table: TableObject, { notation, json }: SstDumpOptions, { output }: Terminal): Promise<ExitCode> {
  await withReader(table, async (reader) => {
    if (json) await output.line(JSON.stringify(tableFacts(reader, table.label, notation), undefined, 2))
    else for (const line of propertiesText(reader, table.name, notation)) await output.line(line)
  })
  return ExitCode.ok
}

type Listed =
  | { readonly table: string; readonly sizeBytes: number; readonly facts: TableFacts; readonly keys: readonly [string, string] }
  | ({ readonly table: string; readonly sizeBytes: number } & Finding)

async function many(tables: readonly TableObject[], options: SstDumpOptions, terminal: Terminal): Promise<ExitCode> {
  const listed: Listed[] = []
  const sizeBytes = tables.reduce((sum, table) => sum + table.sizeBytes, 0)
  const progress = new ProgressBar('Reading', sizeBytes, terminal.remarks, terminal.clock)
  for await (const entry of inOrder(tables, CONCURRENCY, (table) => list(table, options.notation))) {
    listed.push(entry)
    progress.add(entry.sizeBytes)
  }
  progress.clear()
  if (options.json) await terminal.output.line(JSON.stringify(asJson(listed), undefined, 2))
  else for (const line of asText(listed)) await terminal.output.line(line)
  return listed.some((entry) => 'problem' in entry) ? ExitCode.problem : ExitCode.ok
}

async function list(table: TableObject, notation: BytesNotation): Promise<Listed> {
  const { label, sizeBytes } = table
  try {
    return await withReader(table, async (reader) => {
      const keys = [shownKey(reader, 'smallestKey', notation), shownKey(reader, 'largestKey', notation)] as const
      return { table: label, sizeBytes, facts: tableFacts(reader, label, notation), keys }
    })
  } catch (error) {
    const finding = findingOf(error, table.name)
    if (finding === undefined) throw error
    return { table: label, sizeBytes, ...finding }
  }
}

function shownKey(reader: SstReader, which: 'smallestKey' | 'largestKey', notation: BytesNotation): string {
  const key = reader.metadata.properties[which]
  return key === undefined ? '-' : abbreviated(key, notation, SHOWN_KEY_BYTES)
}

interface Total {
  readonly tables: number
  readonly unreadable: number
  readonly sizeBytes: number
  readonly entries: number
  readonly deletions: number
  readonly rawBytes: number
  readonly dataBytes: number
}

function totalOf(listed: readonly Listed[]): Total {
  const facts = listed.flatMap((entry) => ('facts' in entry ? [entry.facts] : []))
  const sum = (of: (facts: TableFacts) => number): number => facts.reduce((total, each) => total + of(each), 0)
  return {
    tables: listed.length,
    unreadable: listed.length - facts.length,
    sizeBytes: listed.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    entries: sum(({ entries }) => entries),
    deletions: sum(({ deletions }) => deletions),
    rawBytes: sum(({ rawKeyBytes, rawValueBytes }) => rawKeyBytes + rawValueBytes),
    dataBytes: sum(({ dataBytes }) => dataBytes),
  }
}

function asJson(listed: readonly Listed[]): object {
  const tables = listed.map((entry) => ('facts' in entry ? entry.facts : entry))
  return { tables, total: totalOf(listed) }
}

const HEAD = ['TABLE', 'SIZE', 'ENTRIES', 'DELETES', 'BLOCKS', 'RATIO', 'BITS/KEY', 'SEQUENCE', 'SMALLEST KEY', 'LARGEST KEY']
const ALIGNMENTS: readonly Alignment[] = ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left', 'left', 'left']

function asText(listed: readonly Listed[]): string[] {
  const total = totalOf(listed)
  const rows = listed.flatMap((entry) => ('facts' in entry ? [row(entry.facts, entry.keys)] : []))
  const totalRow = [
    counted(total.tables, 'table'),
    formatBytes(total.sizeBytes),
    formatCount(total.entries),
    formatCount(total.deletions),
    '',
    formatRatio(total.rawBytes, total.dataBytes),
  ]
  const unreadable = listed.flatMap((entry) =>
    'problem' in entry ? [`${entry.table}  ${formatBytes(entry.sizeBytes)}  ${headline(entry.verdict)}: ${entry.problem}`] : [],
  )
  return [...renderTable([HEAD, ...rows, totalRow], ALIGNMENTS), ...unreadable]
}

function row(facts: TableFacts, [smallest, largest]: readonly [string, string]): string[] {
  const { smallestSeq, largestSeq } = facts
  return [
    facts.table,
    formatBytes(facts.sizeBytes),
    formatCount(facts.entries),
    formatCount(facts.deletions),
    formatCount(facts.dataBlocks),
    formatRatio(facts.rawKeyBytes + facts.rawValueBytes, facts.dataBytes),
    facts.filter === undefined ? '-' : facts.filter.bitsPerKey.toFixed(1),
    smallestSeq === undefined || largestSeq === undefined ? '-' : `${smallestSeq}..${largestSeq}`,
    smallest,
    largest,
  ]
}
