import type { SstReader } from '@moraine/sstable'
import { counted, formatBytes, formatCount, formatRatio, formatSize, formatTime } from '../terminal/figures.ts'
import { renderTable } from '../terminal/text-table.ts'
import { type BytesNotation, quoted } from '../text/bytes-notation.ts'
import { propertyText } from './property-values.ts'
import { tableFacts, type TableFacts } from './table-facts.ts'

type Row = readonly [string, string]

/** One table's properties as a page of text. */
export function propertiesText(reader: SstReader, name: string, notation: BytesNotation): string[] {
  const facts = tableFacts(reader, name, notation)
  const stored: Row[] = [...reader.metadata.properties.raw].map(([property, value]) => [
    property,
    propertyText(property, value, notation),
  ])
  const sections: [string, Row[]][] = [
    ['File', fileRows(facts)],
    ['Contents', contentRows(facts, reader, notation)],
    ['Layout', layoutRows(facts)],
  ]
  // The columns of the short sections line up; the names of properties are too long to set their width.
  const lines = renderTable(sections.flatMap(([, rows]) => rows))
  const page = [name]
  for (const [title, rows] of sections) page.push('', title, ...lines.splice(0, rows.length).map(indented))
  page.push('', 'Properties as stored', ...renderTable(stored).map(indented))
  return page
}

function indented(line: string): string {
  return `  ${line}`
}

function fileRows(facts: TableFacts): Row[] {
  const rows: Row[] = [
    ['size', formatSize(facts.sizeBytes)],
    ['format', `block-based table, version ${facts.formatVersion}, checksum ${facts.checksum}`],
    ['written by', facts.engineVersion === undefined ? 'not Moraine' : `Moraine ${facts.engineVersion}`],
  ]
  if (facts.createdAtSeconds !== undefined) rows.push(['created', formatTime(facts.createdAtSeconds * 1000)])
  if (facts.databaseId !== undefined) rows.push(['database', facts.databaseId])
  return rows
}

function contentRows(facts: TableFacts, reader: SstReader, notation: BytesNotation): Row[] {
  const { properties } = reader.metadata
  const kinds: [number, string][] = [
    [facts.deletions - facts.rangeDeletions, 'delete'],
    [facts.merges, 'merge'],
    [facts.rangeDeletions, 'range delete'],
  ]
  const unusual = kinds.filter(([count]) => count > 0).map(([count, kind]) => counted(count, kind))
  const rows: Row[] = [['entries', `${formatCount(facts.entries)}${unusual.length > 0 ? ` (of these ${unusual.join(', ')})` : ''}`]]
  if (properties.smallestKey !== undefined) rows.push(['smallest key', quoted(properties.smallestKey, notation)])
  if (properties.largestKey !== undefined) {
    const excluded = facts.largestKeyExcluded ? ', excluded: the end of a range delete' : ''
    rows.push(['largest key', `${quoted(properties.largestKey, notation)}${excluded}`])
  }
  if (facts.smallestSeq !== undefined && facts.largestSeq !== undefined) {
    rows.push(['sequence', `${formatCount(facts.smallestSeq)} to ${formatCount(facts.largestSeq)}`])
  }
  const average = (bytes: number): string => (facts.entries === 0 ? '' : `, ${(bytes / facts.entries).toFixed(1)} on average`)
  rows.push(['keys, raw', `${formatBytes(facts.rawKeyBytes)}${average(facts.rawKeyBytes)} (8 bytes of each are sequence and type)`])
  rows.push(['values, raw', `${formatBytes(facts.rawValueBytes)}${average(facts.rawValueBytes)}`])
  if (facts.enveloped) rows.push(['values', 'enveloped: each begins with an envelope of the engine'])
  return rows
}

function layoutRows(facts: TableFacts): Row[] {
  const { dataBytes, filter } = facts
  const ratio = formatRatio(facts.rawKeyBytes + facts.rawValueBytes, dataBytes)
  const rows: Row[] = [
    ['data', `${counted(facts.dataBlocks, 'block')}, ${formatSize(dataBytes)}, compression ${facts.compression ?? 'not said'}, ratio ${ratio}`],
    ['index', `${place(facts.index)}, ${facts.indexType}`],
    ['metaindex', place(facts.metaindex)],
  ]
  for (const [name, handle] of Object.entries(facts.metaBlocks)) {
    const isFilter = filter !== undefined && name === filter.name
    rows.push([name, isFilter ? `${place(handle)}, ${filter.bitsPerKey} bits a key, ${filter.hashes} hashes` : place(handle)])
  }
  return rows
}

function place({ offset, bytes }: { readonly offset: number; readonly bytes: number }): string {
  return `${formatSize(bytes)} at ${offset}`
}
