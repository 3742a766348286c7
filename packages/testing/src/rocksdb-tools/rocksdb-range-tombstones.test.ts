// Invariant: a range tombstone means the same to RocksDB and to Moraine. RocksDB's own programs find nothing wrong with
// tables that hold some, read them as what they are, and hide what they cover once such a table was ingested; Moraine reads
// those that RocksDB wrote.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex, utf8Decode, utf8Encode } from '@moraine/base'
import { EntryKind, SstReader, type SstWriterSettings } from '@moraine/sstable'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRocksDbTools } from './find-rocksdb-tools.ts'
import { complaints, parseScan, RocksDbTools } from './rocksdb-tools.ts'
import { accessFile, type TableEntry, writeTable } from './table-file.ts'

const found = findRocksDbTools()
if (!(found instanceof RocksDbTools)) console.warn(`Range tombstones between RocksDB and Moraine: skipped. ${found.missing}`)

function put(key: string, value: string, seq = 0): TableEntry {
  return { key: utf8Encode(key), seq, kind: EntryKind.put, value: utf8Encode(value) }
}

function removeRange(start: string, end: string, seq = 0): TableEntry {
  return { key: utf8Encode(start), seq, kind: EntryKind.deleteRange, value: utf8Encode(end) }
}

const RANGES: TableEntry[] = [
  removeRange('k', 'm', 70),
  removeRange('key00000100', 'key00000200', 9000),
  removeRange('', 'b', 3),
  removeRange('key00000100', 'key00000150', 40),
  removeRange('key00000100', 'key00000180', 40),
  removeRange('x', 'y', Number.MAX_SAFE_INTEGER),
]
const POINTS: TableEntry[] = Array.from({ length: 3000 }, (_, i) => put(`key${String(i).padStart(8, '0')}`, `value ${i}`, i + 1))

describe.skipIf(!(found instanceof RocksDbTools))('range tombstones', () => {
  const tools = found as RocksDbTools
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'moraine-ranges-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const settings: [string, Partial<SstWriterSettings>][] = [
    ['LZ4', {}],
    ['no compression', { compression: 'none', blockSizeBytes: 700, enveloped: true }],
  ]
  const shapes: [string, TableEntry[]][] = [
    ['beside entries', [...POINTS, ...RANGES]],
    ['alone', RANGES],
  ]

  /** The ranges that RocksDB's raw dump of a table shows: cut where they overlap, `start: end` in hexadecimal. */
  function dumpedRanges(path: string): string[] {
    tools.sstDump([`--file=${path}`, '--command=raw'])
    const dump = readFileSync(path.replace(/\.sst$/, '_dump.txt'), 'utf8')
    const section = /^Range deletions:\n-+\n([\s\S]*?)\n\n/m.exec(dump)?.[1] ?? ''
    return [...section.matchAll(/^ {2}HEX {4}([0-9A-F]*): ([0-9A-F]*)$/gm)].map(([, start, end]) => `${start}: ${end}`)
  }

  describe.each(shapes)('of Moraine, %s', (shape, entries) => {
    test.each(settings)('are read by RocksDB: %s', (name, chosen) => {
      const path = join(folder, `${shape}-${name}.sst`.replaceAll(' ', '-'))
      const { file, summary } = writeTable(entries, { createdAtMs: 1_700_000_000_000, ...chosen })
      writeFileSync(path, file)
      const check = tools.sstDump([`--file=${path}`, '--command=check', '--verify_checksum', '--output_hex'])
      expect(complaints(check)).toEqual([])
      const scan = tools.sstDump([`--file=${path}`, '--command=scan', '--output_hex', '--show_properties'])
      expect(complaints(scan)).toEqual([])
      const points = entries.filter(({ kind }) => kind === EntryKind.put)
      expect(parseScan(scan).map(({ key }) => key)).toEqual(points.map(({ key }) => toHex(key)))
      for (const [property, value] of [
        ['# entries', entries.length],
        ['# deletions', RANGES.length],
        ['# range deletions', RANGES.length],
        ['raw key size', summary.rawKeyBytes],
        ['raw value size', summary.rawValueBytes],
      ]) {
        expect(scan.text).toContain(`  ${property}: ${value}\n`)
      }
      const hex = (text: string): string => toHex(utf8Encode(text)).toUpperCase()
      const pieces = [
        ['', 'b'],
        // [k, m) is cut by the three ranges inside of it.
        ['k', 'key00000100'],
        ['key00000100', 'key00000150'],
        ['key00000150', 'key00000180'],
        ['key00000180', 'key00000200'],
        ['key00000200', 'm'],
        ['x', 'y'],
      ].map(([start, end]) => `${hex(start as string)}: ${hex(end as string)}`)
      expect([...new Set(dumpedRanges(path))]).toEqual(pieces)
    })
  })

  test('a flipped bit in their block is a complaint of RocksDB, too', async () => {
    const path = join(folder, 'flipped.sst')
    const { file } = writeTable([...POINTS, ...RANGES])
    writeFileSync(path, file)
    const handle = (await SstReader.open(accessFile(path), path)).metaBlocks.get('rocksdb.range_del')
    const at = (handle?.offset ?? 0) + 5
    file[at] = (file[at] as number) ^ 1
    writeFileSync(path, file)
    const check = tools.sstDump([`--file=${path}`, '--command=check', '--verify_checksum', '--output_hex'])
    expect(complaints(check).join('\n')).toMatch(/checksum mismatch/)
  })

  test.each(settings)('of an ingested table hide what was there before, and nothing of the table itself: %s', (name, chosen) => {
    const database = join(folder, `ingest-${name}`.replaceAll(' ', '-'))
    const scan = (): string[] => tools.ldb([`--db=${database}`, 'scan']).stdout.split('\n').filter((line) => line.includes(' : '))
    const olds = ['a', 'b', 'c', 'd', 'j', 'k', 'm', 'q', 'z']
    tools.ldb([`--db=${database}`, '--create_if_missing', 'batchput', ...olds.flatMap((key) => [key, 'old'])])
    expect(scan()).toEqual(olds.map((key) => `${key} : old`))

    const ingest = (file: string, entries: readonly TableEntry[]): void => {
      const path = join(folder, `${name}-${file}`.replaceAll(' ', '-'))
      writeFileSync(path, writeTable(entries, { externalFile: true, ...chosen }).file)
      expect(complaints(tools.ldb([`--db=${database}`, 'ingest_extern_sst', path]))).toEqual([])
      expect(complaints(tools.ldb([`--db=${database}`, 'checkconsistency']))).toEqual([])
    }
    // Beside entries, overlapping, with the same start twice, and reaching beyond the table's own keys on both sides.
    ingest('both.sst', [put('c', 'new'), put('j', 'new'), removeRange('b', 'd'), removeRange('b', 'k'), removeRange('p', 'r')])
    const between = ['a : old', 'c : new', 'j : new', 'k : old', 'm : old', 'z : old']
    expect(scan()).toEqual(between)
    expect(tools.ldb([`--db=${database}`, 'get', 'c']).stdout.trim()).toBe('new')
    expect(tools.ldb([`--db=${database}`, 'get', 'b']).text).toMatch(/NotFound/)

    ingest('alone.sst', [removeRange('a', 'd'), removeRange('m', 'n')])
    const after = ['j : new', 'k : old', 'z : old']
    expect(scan()).toEqual(after)
    // Compacting everything drops what is hidden, and the tombstones with it.
    tools.ldb([`--db=${database}`, 'compact'])
    expect(scan()).toEqual(after)
    expect(tools.ldb([`--db=${database}`, 'get', 'm']).text).toMatch(/NotFound/)
  })

  test('of RocksDB, many in one table, are read by Moraine', async () => {
    const database = join(folder, 'rocksdb')
    const ldb = (...options: string[]): void => expect(complaints(tools.ldb([`--db=${database}`, ...options]))).toEqual([])
    const keepTheLog = (keep: boolean): void => {
      const file = readdirSync(database).filter((each) => each.startsWith('OPTIONS-')).sort().at(-1) as string
      const text = readFileSync(join(database, file), 'utf8')
      const set = text.replace(/^ {2}avoid_flush_during_recovery=.*$/m, `  avoid_flush_during_recovery=${keep}`)
      writeFileSync(join(database, file), set.replace(/^ {2}disable_auto_compactions=.*$/m, '  disable_auto_compactions=true'))
    }
    ldb('--create_if_missing', 'put', 'first', '1')
    // What the log holds becomes one table only when it is flushed at last.
    keepTheLog(true)
    const ranges = [['c', 'x'], ['a', 'f'], ['k', 'z']] as const
    for (const [start, end] of ranges) ldb('deleterange', start, end)
    ldb('put', 'kept', '2')
    keepTheLog(false)
    ldb('put', 'last', '3')
    ldb('put', 'last', '4')

    const readers = await Promise.all(
      readdirSync(database)
        .filter((file) => file.endsWith('.sst'))
        .map((file) => SstReader.open(accessFile(join(database, file)), file)),
    )
    for (const reader of readers) expect((await reader.check()).problems).toEqual([])
    const tombstones = readers.flatMap(({ metadata }) => metadata.rangeTombstones)
    expect(Math.max(...readers.map(({ metadata }) => metadata.rangeTombstones.length))).toBeGreaterThan(1)
    // RocksDB cuts them where they overlap: what counts is the newest deletion over each place.
    const deletions = [...new Set(tombstones.map(({ seq }) => seq))].sort((a, b) => a - b)
    const newestOver = (key: string): number => {
      const over = tombstones.filter(({ start, end }) => utf8Decode(start) <= key && key < utf8Decode(end))
      return deletions.indexOf(Math.max(...over.map(({ seq }) => seq)))
    }
    expect(['A', 'a', 'c', 'e', 'f', 'k', 'x', 'z'].map(newestOver)).toEqual([-1, 1, 1, 1, 0, 2, 2, -1])
  })
})
