// Invariant: RocksDB's own programs read every entry of every table that Moraine writes, find nothing wrong with it, and
// a real RocksDB ingests a table of sequence zero.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, toHex, utf8Encode } from '@moraine/base'
import { EntryKind, type SstWriterSettings, zstdAvailable } from '@moraine/sstable'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRocksDbTools } from './find-rocksdb-tools.ts'
import { complaints, parseScan, RocksDbTools } from './rocksdb-tools.ts'
import { type TableEntry, writeTable } from './table-file.ts'

const found = findRocksDbTools()
if (!(found instanceof RocksDbTools)) console.warn(`RocksDB reading Moraine: skipped. ${found.missing}`)

function put(key: Uint8Array | string, seq: number, value: Uint8Array | string): TableEntry {
  const bytes = (text: Uint8Array | string): Uint8Array => (typeof text === 'string' ? utf8Encode(text) : text)
  return { key: bytes(key), seq, kind: EntryKind.put, value: bytes(value) }
}

function remove(key: string, seq: number): TableEntry {
  return { key: utf8Encode(key), seq, kind: EntryKind.delete, value: new Uint8Array(0) }
}

function* plain(count: number): Generator<TableEntry> {
  for (let i = 0; i < count; i++) yield put(`key${String(i).padStart(8, '0')}`, i + 1, `value ${i} `.repeat(i % 20))
}

/** Chains of versions, longer than a block, with deletes between the puts. */
function* versions(): Generator<TableEntry> {
  for (let i = 0; i < 60; i++) {
    const key = `versioned${String(i).padStart(4, '0')}`
    for (let seq = i % 9 === 0 ? 700 : 1 + (i % 4); seq > 0; seq--) {
      yield seq % 3 === 0 ? remove(key, seq * 1000) : put(key, seq * 1000, `${key}@${seq}`)
    }
  }
}

/** Keys up to the limit that share long prefixes, the empty key, keys of 0x00 and 0xff, the largest sequence numbers. */
function* unusual(): Generator<TableEntry> {
  const random = new SeededRandom(7)
  yield put('', Number.MAX_SAFE_INTEGER, 'the empty key')
  yield put(new Uint8Array([0]), 2 ** 40, 'zero')
  yield put(new Uint8Array([0, 0]), 2 ** 32, 'zeros')
  for (let i = 0; i < 12; i++) {
    const key = new Uint8Array(65535).fill(0x61)
    key[i * 5000] = 0x62
    if (i > 0) yield put(key.subarray(0, 65535 - i), 1, random.fill(new Uint8Array(i * 1000)))
  }
  yield put(new Uint8Array([0xff]), 2 ** 24, new Uint8Array(300_000))
  yield put(new Uint8Array(65535).fill(0xff), 1, random.fill(new Uint8Array(300_000)))
}

function ordered(entries: Iterable<TableEntry>): TableEntry[] {
  return [...entries].sort((a, b) => Buffer.compare(a.key, b.key) || b.seq - a.seq)
}

describe.skipIf(!(found instanceof RocksDbTools))('RocksDB reads what Moraine writes', () => {
  const tools = found as RocksDbTools
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'moraine-sst-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const shapes: [string, TableEntry[]][] = [
    ['one entry', [...plain(1)]],
    ['thousands of keys', [...plain(5000)]],
    ['chains of versions and deletes', [...versions()]],
    ['unusual keys and values', ordered(unusual())],
  ]
  const settings: [string, Partial<SstWriterSettings>][] = [
    ['LZ4', {}],
    ...(zstdAvailable ? [['ZSTD', { compression: 'zstd' }] as [string, Partial<SstWriterSettings>]] : []),
    ['no compression, small blocks', { compression: 'none', blockSizeBytes: 700, restartInterval: 4 }],
    ['LZ4, no filter, every key whole', { filterBitsPerKey: 0, restartInterval: 1, databaseId: 'db', userProperties: { 'app.x': 'y' } }],
  ]

  describe.each(shapes)('%s', (shape, entries) => {
    test.each(settings)('%s', (name, chosen) => {
      const path = join(folder, `${shape}-${name}.sst`.replaceAll(/[ ,]+/g, '-'))
      const { file, summary } = writeTable(entries, { createdAtMs: 1_700_000_000_000, ...chosen })
      writeFileSync(path, file)

      const check = tools.sstDump([`--file=${path}`, '--command=check', '--verify_checksum', '--output_hex'])
      expect(complaints(check)).toEqual([])
      const scan = tools.sstDump([`--file=${path}`, '--command=scan', '--verify_checksum', '--output_hex', '--show_properties'])
      expect(complaints(scan)).toEqual([])
      expect(parseScan(scan)).toEqual(
        entries.map(({ key, seq, kind, value }) => ({ key: toHex(key), seq, kind, value: toHex(value) })),
      )
      expect(scan.text).toContain(`# entries: ${entries.length}\n`)
      expect(scan.text).toContain(`# data blocks: ${summary.dataBlockCount}\n`)
      expect(scan.text).toContain(`# deletions: ${summary.deletionCount}\n`)
    })
  })

  test('a search of the output sees what the exit code does not', () => {
    const path = join(folder, 'flipped.sst')
    const { file } = writeTable(plain(5000))
    file[3000] = (file[3000] as number) ^ 1
    writeFileSync(path, file)
    const check = tools.sstDump([`--file=${path}`, '--command=check', '--verify_checksum', '--output_hex'])
    expect(complaints(check).join('\n')).toMatch(/checksum mismatch/)
  })

  test.each(settings)('a real RocksDB ingests a table of sequence zero: %s', (name, chosen) => {
    const entries = [...plain(3000), put('tail', 0, 'x'.repeat(100_000))].map((entry) => ({ ...entry, seq: 0 }))
    const path = join(folder, `ingest-${name}.sst`.replaceAll(/[ ,]+/g, '-'))
    const database = join(folder, `db-${name}`.replaceAll(/[ ,]+/g, '-'))
    writeFileSync(path, writeTable(entries, { externalFile: true, ...chosen }).file)

    const ingested = tools.ldb([`--db=${database}`, '--create_if_missing', 'ingest_extern_sst', path])
    expect(complaints(ingested)).toEqual([])
    expect(complaints(tools.ldb([`--db=${database}`, 'checkconsistency']))).toEqual([])
    const scanned = tools.ldb([`--db=${database}`, '--hex', 'scan'])
    const lines = scanned.stdout.split('\n').filter((line) => line.startsWith('0x'))
    expect(lines.map((line) => line.toLowerCase())).toEqual(
      entries.map(({ key, value }) => `0x${toHex(key)} : 0x${toHex(value)}`),
    )
    for (const i of [0, 1, 1499, 2999, 3000]) {
      const { key, value } = entries[i] as TableEntry
      const got = tools.ldb([`--db=${database}`, '--hex', 'get', `0x${toHex(key)}`])
      expect(got.stdout.trim().toLowerCase()).toBe(`0x${toHex(value)}`)
    }
    // Whatever RocksDB makes of the file when it compacts everything, nothing is lost.
    tools.ldb([`--db=${database}`, 'compact'])
    expect(tools.ldb([`--db=${database}`, '--hex', 'scan']).stdout).toBe(scanned.stdout)
  })
})
