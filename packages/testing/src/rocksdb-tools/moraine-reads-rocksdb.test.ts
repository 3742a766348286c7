// Invariant: SstReader reads every entry of the tables that a real RocksDB writes, whatever index, checksum and block
// options they were written with, and names what it does not read.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMoraineError, toHex, utf8Decode } from '@moraine/base'
import { SstReader, zstdAvailable } from '@moraine/sstable'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRocksDbTools } from './find-rocksdb-tools.ts'
import { parseScan, RocksDbTools } from './rocksdb-tools.ts'
import { accessFile } from './table-file.ts'

const found = findRocksDbTools()
if (!(found instanceof RocksDbTools)) console.warn(`Moraine reading RocksDB: skipped. ${found.missing}`)

const LINES = Array.from({ length: 2000 }, (_, i) => {
  return `key${String(i).padStart(6, '0')} ==> ${'value'.repeat(i % 25)}${i}`
}).join('\n')

describe.skipIf(!(found instanceof RocksDbTools))('Moraine reads what RocksDB writes', () => {
  const tools = found as RocksDbTools
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'moraine-rocksdb-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** A database whose options file says what the command line cannot. */
  function createDatabase(name: string, options: Readonly<Record<string, string>>): string {
    const database = join(folder, name)
    tools.ldb([`--db=${database}`, '--create_if_missing', 'put', 'first', 'put'])
    const optionsFile = readdirSync(database).filter((file) => file.startsWith('OPTIONS-')).sort().at(-1) as string
    let text = readFileSync(join(database, optionsFile), 'utf8')
    for (const [option, value] of Object.entries({ compression: 'kLZ4Compression', ...options })) {
      expect(text).toMatch(new RegExp(`^  ${option}=`, 'm'))
      text = text.replaceAll(new RegExp(`^  ${option}=.*$`, 'gm'), `  ${option}=${value}`)
    }
    writeFileSync(join(database, optionsFile), text)
    return database
  }

  function tables(database: string): string[] {
    return readdirSync(database).filter((file) => file.endsWith('.sst')).map((file) => join(database, file))
  }

  /** Reads a table whole and compares it with RocksDB's own reading of it. */
  async function expectSameScan(path: string): Promise<SstReader> {
    const reader = await SstReader.open(accessFile(path), path)
    const entries = []
    for await (const { key, seq, kind, value } of reader.entries()) {
      entries.push({ key: toHex(key), seq, kind, value: toHex(value) })
    }
    expect(entries).toEqual(parseScan(tools.sstDump([`--file=${path}`, '--command=scan', '--output_hex'])))
    // RocksDB's scan leaves range tombstones out.
    const entryCount = entries.length + reader.metadata.rangeTombstones.length
    expect(await reader.check()).toEqual({ problems: [], blockCount: reader.blockCount, entryCount })
    return reader
  }

  const variants: [string, Record<string, string>][] = [
    ['as RocksDB comes, with LZ4', {}],
    ['no compression', { compression: 'kNoCompression' }],
    ...(zstdAvailable ? [['ZSTD', { compression: 'kZSTD' }] as [string, Record<string, string>]] : []),
    ['CRC-32C, version 2', { checksum: 'kCRC32c', format_version: '2', block_size: '1000' }],
    ['xxHash64, version 4, separators behind restart points', { checksum: 'kxxHash64', format_version: '4', index_block_restart_interval: '8', block_size: '500' }],
    ['a two-level index', { index_type: 'kTwoLevelIndexSearch', metadata_block_size: '300', block_size: '500' }],
    ['an index with first keys', { index_type: 'kBinarySearchWithFirstKey', block_size: '500' }],
    ['hashed data blocks', { data_block_index_type: 'kDataBlockBinaryAndHash', block_size: '2000' }],
    ['no checksums, aligned blocks', { checksum: 'kNoChecksum', compression: 'kNoCompression', block_align: 'true' }],
    ['a bloom filter of its own, no shortened separators', { filter_policy: 'bloomfilter:10:false', index_shortening: 'kNoShortening' }],
  ]
  test.each(variants)('%s', async (name, options) => {
    const database = createDatabase(name.replaceAll(/[ ,]+/g, '-'), options)
    tools.ldb([`--db=${database}`, 'load'], LINES)
    tools.ldb([`--db=${database}`, 'compact'])
    let entryCount = 0
    for (const path of tables(database)) entryCount += (await expectSameScan(path)).metadata.properties.entryCount
    expect(entryCount).toBe(2001)
  })

  test('a table written for ingestion', async () => {
    const database = createDatabase('extern', { block_size: '1000' })
    const path = join(folder, 'extern.sst')
    tools.ldb([`--db=${database}`, 'write_extern_sst', path], LINES)
    const reader = await expectSameScan(path)
    expect(reader.metadata.properties.externalFile).toBe(true)
    expect(reader.metadata.properties.entryCount).toBe(2000)
  })

  test('deletes and range deletions', async () => {
    const database = createDatabase('kinds', { disable_auto_compactions: 'true' })
    tools.ldb([`--db=${database}`, 'batchput', 'a', '1', 'b', '2', 'c', '3'])
    tools.ldb([`--db=${database}`, 'delete', 'b'])
    tools.ldb([`--db=${database}`, 'deleterange', 'c', 'x'])
    // Each command opens the database anew, and opening flushes what the one before had logged.
    tools.ldb([`--db=${database}`, 'put', 'z', '4'])
    const kinds = new Set<number>()
    const ranges = []
    for (const path of tables(database)) {
      const reader = await expectSameScan(path)
      for await (const entry of reader.entries()) kinds.add(entry.kind)
      ranges.push(...reader.metadata.rangeTombstones)
    }
    expect([...kinds].sort()).toEqual([0, 1])
    expect(ranges.map(({ start, end }) => [utf8Decode(start), utf8Decode(end)])).toEqual([['c', 'x']])
  })

  test.each([
    ['Snappy', { compression: 'kSnappyCompression' }, /Snappy/],
    ...(zstdAvailable ? [] : [['ZSTD', { compression: 'kZSTD' }, /ZSTD/] as [string, Record<string, string>, RegExp]]),
    ['xxHash', { checksum: 'kxxHash' }, /checksum type xxHash/],
  ])('a table with %s is refused by name', async (name, options, message) => {
    const database = createDatabase(`refused-${name}`, options)
    tools.ldb([`--db=${database}`, 'load'], LINES)
    tools.ldb([`--db=${database}`, 'compact'])
    const path = tables(database).at(-1) as string
    const error: unknown = await SstReader.open(accessFile(path), path)
      .then((reader) => reader.entries().next())
      .then(() => undefined, (reason: unknown) => reason)
    expect(isMoraineError(error, 'INVALID')).toBe(true)
    expect((error as Error).message).toMatch(message)
    expect((error as Error).message).toContain(path)
  })
})
