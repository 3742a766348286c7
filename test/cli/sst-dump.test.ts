// Invariant: scripts/sst-dump shows every entry of the tables of a real database as it was written, finds damage and says
// where it is, and ends with 0 (fine), 1 (a problem) or 2 (misuse).
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { crc32c, maskCrc32c, toHex, utf8Encode } from '@moraine/base'
import { defaultSstWriterSettings, SstWriter } from '@moraine/sstable'
import { open } from 'moraine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildCli, jsonLines, runIntoClosedPipe, runScript } from './run-script.ts'

const ENTRIES = 5000
const keyOf = (i: number): string => `flight/${String(i).padStart(6, '0')}/it's`
const valueOf = (i: number): string => `value ${i} `.repeat(i % 20)

let folder: string
let database: string
let tables: string[]
let table: string
let damaged: string

beforeAll(async () => {
  await buildCli()
  folder = mkdtempSync(join(tmpdir(), 'moraine-cli-'))
  database = join(folder, 'db')
  mkdirSync(database)
  const db = await open(pathToFileURL(database).href, { wal: 'none', level0CompactionTrigger: 100, level0StopTrigger: 200 })
  for (let i = 0; i < ENTRIES; i++) void db.put(keyOf(i), valueOf(i))
  await db.flush()
  await db.put(new Uint8Array([0, 0xff]), new Uint8Array([1, 0x5c]))
  await db.delete(keyOf(7))
  await db.flush()
  await db.close()
  tables = readdirSync(join(database, 'sst')).map((name) => join(database, 'sst', name))
  table = tables.find((path) => readFileSync(path).length > 10_000) as string
  damaged = join(folder, 'damaged.sst')
  const bytes = readFileSync(table)
  bytes[5000] = (bytes[5000] as number) ^ 1
  writeFileSync(damaged, bytes)
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('scan', () => {
  test('gives back what was written', async () => {
    const { code, stdout, stderr } = await runScript('sst-dump', table, '--command=scan', '--json')
    expect([code, stderr]).toEqual([0, ''])
    expect(jsonLines(stdout)).toEqual(
      Array.from({ length: ENTRIES }, (_, i) => ({ key: keyOf(i), seq: i + 1, type: 'put', value: valueOf(i) })),
    )
  })

  test('prints lines that say key, sequence, type and value', async () => {
    const { stdout } = await runScript('sst-dump', tables.find((path) => path !== table) as string, '-c', 'scan')
    expect(stdout.split('\n')).toEqual([
      String.raw`'\x00\xff' seq:${ENTRIES + 1}, type:put => '\x01\\'`,
      String.raw`'flight/000007/it\'s' seq:${ENTRIES + 2}, type:delete`,
      '',
    ])
  })

  test('takes the keys that it prints as bounds, in both notations', async () => {
    const text = await runScript('sst-dump', table, '-c', 'scan', '--from', String.raw`flight/000100/it\'s`, '--to=flight/000102')
    expect(text.stdout.split('\n').map((line) => line.slice(0, 15))).toEqual(["'flight/000100/", "'flight/000101/", ''])
    const from = `0x${toHex(utf8Encode(keyOf(4000)))}`
    const hex = await runScript('sst-dump', table, '-c', 'scan', '--hex', `--from=${from}`, '--limit=2')
    expect(hex.stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([from, `0x${toHex(utf8Encode(keyOf(4001)))}`, ''])
  })

  test('goes backwards', async () => {
    const { stdout } = await runScript('sst-dump', table, '-c', 'scan', '--reverse', '--limit=3', '--json')
    expect(jsonLines(stdout).map(({ key }) => key)).toEqual([keyOf(4999), keyOf(4998), keyOf(4997)])
  })

  test('a folder is scanned table by table, with one limit for all', async () => {
    const { stdout } = await runScript('sst-dump', database, '-c', 'scan', '--json')
    const lines = jsonLines(stdout)
    expect(lines).toHaveLength(ENTRIES + 2)
    expect(new Set(lines.map((line) => line['table'])).size).toBe(2)
    const limited = await runScript('sst-dump', database, '-c', 'scan', '--json', '--limit=5001')
    expect(jsonLines(limited.stdout)).toEqual(lines.slice(0, 5001))
  })

  test('kinds that only RocksDB writes are named', async () => {
    // Our writer refuses them, so a table of puts is altered: the kind is the first byte of a key's trailer.
    const kinds = [0, 1, 2, 7, 0x11, 0x16, 0x63]
    const chunks: Uint8Array[] = []
    const writer = new SstWriter({ ...defaultSstWriterSettings, compression: 'none' }, (chunk) => chunks.push(chunk))
    for (let i = 0; i < kinds.length; i++) writer.add(Uint8Array.of(97 + i), 0, 1, 5, 1, Uint8Array.of(118), 0, 1)
    writer.finish()
    const bytes = Buffer.concat(chunks)
    const entryBytes = 3 + 1 + 8 + 1
    for (const [i, kind] of kinds.entries()) bytes[i * entryBytes + 4] = kind
    const blockEnd = kinds.length * entryBytes + 8
    bytes.writeUInt32LE(maskCrc32c(crc32c(bytes, 0, blockEnd + 1)), blockEnd + 1)
    const path = join(folder, 'kinds.sst')
    writeFileSync(path, bytes)
    const { code, stdout } = await runScript('sst-dump', path, '-c', 'scan', '--json')
    expect(code).toBe(0)
    expect(jsonLines(stdout).map(({ type }) => type)).toEqual([
      'delete',
      'put',
      'merge',
      'single-delete',
      'blob-reference',
      'wide-columns',
      'unknown-99',
    ])
  })

  test('a reader that leaves ends it quietly', async () => {
    const { code, stdout, stderr } = await runIntoClosedPipe('sst-dump', table, '-c', 'scan')
    expect(stdout).toMatch(/^'flight\/000000/)
    expect([code, stderr]).toEqual([0, ''])
  })
})

describe('properties', () => {
  test('of one table, for people', async () => {
    const { code, stdout } = await runScript('sst-dump', table)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ {2}entries +5,000$/m)
    expect(stdout).toMatch(/^ {2}smallest key +'flight\/000000\/it\\'s'$/m)
    expect(stdout).toMatch(/^ {2}moraine\.filter\.bloom\.1 .* 10 bits a key, 7 hashes$/m)
    expect(stdout).toMatch(/^ {2}rocksdb\.num\.entries +5000$/m)
    expect(stdout).toMatch(/version 5, checksum CRC-32C$/m)
  })

  test('of one table, for programs', async () => {
    const { stdout } = await runScript('sst-dump', table, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      entries: ENTRIES,
      smallestKey: keyOf(0),
      largestKey: keyOf(4999),
      smallestSeq: 1,
      largestSeq: ENTRIES,
      sizeBytes: readFileSync(table).length,
      formatVersion: 5,
      filter: { bitsPerKey: 10, hashes: 7 },
      properties: { 'rocksdb.num.entries': ENTRIES, 'rocksdb.comparator': 'leveldb.BytewiseComparator' },
    })
  })

  test.each(['a path', 'a URL'])('of a database named by %s: a line each, and a total', async (form) => {
    const name = form === 'a URL' ? pathToFileURL(database).href : database
    const [text, json] = await Promise.all([runScript('sst-dump', name), runScript('sst-dump', name, '--json')])
    expect(text.code).toBe(0)
    expect(text.stdout.trimEnd().split('\n')).toHaveLength(4)
    expect(text.stdout).toMatch(/^2 tables +[\d.]+ kB +5,002 +1 /m)
    const { tables: listed, total } = JSON.parse(json.stdout) as { tables: unknown[]; total: unknown }
    expect(listed).toHaveLength(2)
    expect(total).toMatchObject({ tables: 2, entries: ENTRIES + 2, deletions: 1, unreadable: 0 })
  })

  test('a table whose tail is damaged does not hide the others', async () => {
    const mixed = join(folder, 'mixed')
    mkdirSync(mixed)
    copyFileSync(table, join(mixed, 'good.sst'))
    writeFileSync(join(mixed, 'cut.sst'), readFileSync(table).subarray(0, 9000))
    const { code, stdout } = await runScript('sst-dump', mixed)
    expect(code).toBe(1)
    expect(stdout).toMatch(/^good\.sst /m)
    expect(stdout).toMatch(/^cut\.sst .* DAMAGED: .*magic number/m)
  })
})

describe('check', () => {
  test('a whole database is fine', async () => {
    const { code, stdout, stderr } = await runScript('sst-dump', database, '--command=check')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^2 tables: no problems; 5,002 entries in \d+ blocks/m)
  })

  test('damage is found, named and placed', async () => {
    const [text, json] = await Promise.all([
      runScript('sst-dump', damaged, '--command=check'),
      runScript('sst-dump', damaged, '--command=check', '--json'),
    ])
    expect([text.code, json.code]).toEqual([1, 1])
    expect(text.stdout).toContain(`DAMAGED  ${damaged}\n`)
    const offset = Number(/^ {4}at byte (\d+): the checksum of data block \d+/m.exec(text.stdout)?.[1])
    expect(offset).toBeLessThanOrEqual(5000)
    expect(offset).toBeGreaterThan(5000 - 17_000)
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      tables: [{ ok: false, problems: [{ offset, verdict: 'damaged' }] }],
      total: { damaged: 1 },
    })
  })

  test('the other commands fail on it, too, and say why', async () => {
    const scan = await runScript('sst-dump', damaged, '--command=scan')
    expect(scan.code).toBe(1)
    expect(scan.stderr).toMatch(/^sst-dump: table .*damaged\.sst is damaged: the checksum of data block/)
    const blocks = await runScript('sst-dump', damaged, '--command=blocks')
    expect(blocks.code).toBe(1)
    expect(blocks.stdout.match(/DAMAGED/g)).toHaveLength(1)
  })
})

test('blocks and raw account for every entry', async () => {
  const [blocks, raw] = await Promise.all([
    runScript('sst-dump', table, '--command=blocks', '--json'),
    runScript('sst-dump', table, '--command=raw', '--json'),
  ])
  expect([blocks.code, raw.code]).toEqual([0, 0])
  const rows = jsonLines(blocks.stdout)
  expect(rows.length).toBeGreaterThan(5)
  expect(rows.reduce((sum, row) => sum + Number(row['entries']), 0)).toBe(ENTRIES)
  const lines = jsonLines(raw.stdout)
  expect(lines.filter((line) => 'restartPoints' in line)).toHaveLength(rows.length)
  const entries = lines.filter((line) => 'seq' in line)
  expect(entries.map(({ key }) => key)).toEqual(Array.from({ length: ENTRIES }, (_, i) => keyOf(i)))
  expect(entries[0]).toMatchObject({ offset: 0, sharedBytes: 0, restart: true })

  const text = await runScript('sst-dump', table, '--command=blocks', '--limit=2')
  expect(text.stdout.trimEnd().split('\n')).toHaveLength(3)
  const page = await runScript('sst-dump', table, '--command=raw', '--limit=2')
  expect(page.stdout).toMatch(/^block 0 {2}at 0 {2}.*restart points\n> \+0 .*seq:1, type:put.*\n {2}\+\d+ .*seq:2, type:put.*\n$/)
})

describe('range tombstones', () => {
  let both: string
  let alone: string
  beforeAll(() => {
    const write = (name: string, keys: readonly string[]): string => {
      const chunks: Uint8Array[] = []
      const writer = new SstWriter({ ...defaultSstWriterSettings, enveloped: true }, (chunk) => chunks.push(chunk))
      writer.addRangeTombstone(utf8Encode('c'), utf8Encode('p'), 9)
      writer.addRangeTombstone(utf8Encode('b'), utf8Encode('d'), 7)
      for (const key of keys) writer.add(utf8Encode(key), 0, key.length, 8, 1, utf8Encode('v'), 0, 1)
      writer.finish()
      const path = join(folder, name)
      writeFileSync(path, Buffer.concat(chunks))
      return path
    }
    both = write('both.sst', ['a', 'c'])
    alone = write('alone.sst', [])
  })
  const first = { key: 'b', seq: 7, type: 'delete-range', value: 'd' }
  const second = { key: 'c', seq: 9, type: 'delete-range', value: 'p' }

  test('are scanned before the entries, and only those that touch the range', async () => {
    const text = await runScript('sst-dump', both, '-c', 'scan')
    expect(text.stdout.split('\n')).toEqual([
      "'b' seq:7, type:delete-range => 'd'",
      "'c' seq:9, type:delete-range => 'p'",
      "'a' seq:8, type:put => 'v'",
      "'c' seq:8, type:put => 'v'",
      '',
    ])
    const ranged = async (...bounds: string[]): Promise<unknown[]> => {
      const { stdout } = await runScript('sst-dump', alone, '-c', 'scan', '--json', ...bounds)
      return stdout === '' ? [] : jsonLines(stdout)
    }
    expect(await Promise.all([ranged(), ranged('--from=d'), ranged('--to=c'), ranged('--from=p'), ranged('--to=b')])).toEqual([
      [first, second],
      [second],
      [first],
      [],
      [],
    ])
  })

  test('are counted by the properties, which show what bounds the table and what its values are', async () => {
    const { stdout } = await runScript('sst-dump', both)
    expect(stdout).toMatch(/^ {2}entries +4 \(of these 2 range deletes\)$/m)
    expect(stdout).toMatch(/^ {2}largest key +'p', excluded: the end of a range delete$/m)
    expect(stdout).toMatch(/^ {2}values +enveloped: /m)
    expect(stdout).toMatch(/^ {2}rocksdb\.range_del +\d+ bytes at \d+$/m)
    expect(stdout).toMatch(/^ {2}moraine\.values +enveloped$/m)
    const json = await runScript('sst-dump', alone, '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({
      entries: 2,
      rangeDeletions: 2,
      smallestKey: 'b',
      largestKey: 'p',
      largestKeyExcluded: true,
      enveloped: true,
      dataBlocks: 0,
    })
    const plain = JSON.parse((await runScript('sst-dump', table, '--json')).stdout) as object
    expect(plain).toMatchObject({ rangeDeletions: 0, largestKeyExcluded: false, enveloped: false })
  })

  test('have a block of their own in blocks and raw', async () => {
    const [rows, raw] = await Promise.all([
      runScript('sst-dump', both, '-c', 'blocks', '--json'),
      runScript('sst-dump', both, '-c', 'raw', '--json'),
    ])
    expect(jsonLines(rows.stdout)).toMatchObject([
      { block: 0, entries: 2, firstKey: 'a', lastKey: 'c' },
      { block: 'ranges', compression: 'none', entries: 2, firstKey: 'b', lastKey: 'p' },
    ])
    expect(jsonLines(raw.stdout).slice(3)).toMatchObject([
      { block: 'ranges', entries: 2, restartPoints: [0, 13] },
      { block: 'ranges', offset: 0, sharedBytes: 0, restart: true, ...first },
      { block: 'ranges', offset: 13, sharedBytes: 0, restart: true, ...second },
    ])
    const text = await runScript('sst-dump', alone, '-c', 'raw', '--limit=1')
    expect(text.stdout).toMatch(/^block ranges {2}at 0 .* 2 entries, 2 restart points\n> \+0 .*type:delete-range => 'd'\n$/)
    const page = await runScript('sst-dump', alone, '-c', 'blocks')
    expect(page.stdout.split('\n')[1]).toMatch(/^ranges +0 +43 +38 .* 'b' +'p'$/)
  })

  test('are checked', async () => {
    const fine = await runScript('sst-dump', both, alone, '-c', 'check')
    expect(fine.code).toBe(0)
    expect(fine.stdout).toMatch(/^2 tables: no problems; 6 entries in 1 block/m)
    const bytes = readFileSync(alone)
    bytes[3] = (bytes[3] as number) ^ 1
    const path = join(folder, 'damaged-ranges.sst')
    writeFileSync(path, bytes)
    const { code, stdout } = await runScript('sst-dump', path, '-c', 'check')
    expect(code).toBe(1)
    expect(stdout).toMatch(/^DAMAGED .*\n {4}the checksum of the block of range tombstones is/)
  })
})

describe('misuse', () => {
  test.each([
    [[], /which table/],
    [['--bogus'], /--bogus/],
    [['no-such-file.sst'], /there is no file or folder no-such-file\.sst/],
    [['s3:///x'], /the bucket is missing/],
    [['gopher://x/y'], /gopher:\/\/ is unknown/],
    [['memory://x'], /inside the program/],
    [[tmpdir(), '--command=dance'], /no command 'dance'/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runScript('sst-dump', ...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^sst-dump: .*\nTry 'sst-dump --help'\.\n$/)
  })

  test('help and version', async () => {
    const [help, version] = await Promise.all([runScript('sst-dump', '--help'), runScript('sst-dump', '--version')])
    expect([help.code, version.code]).toEqual([0, 0])
    for (const command of ['properties', 'scan', 'check', 'raw', 'blocks']) expect(help.stdout).toContain(`--command=${command}`)
    expect(Math.max(...help.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})
