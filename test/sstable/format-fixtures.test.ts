// Invariant: tables that exist stay readable. The fixtures were written once, by Moraine and by RocksDB 7.8, and are never
// written again; a format that changes gets a fixture of its own beside them.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { utf8Decode, utf8Encode } from '@moraine/base'
import { defaultSstWriterSettings, EntryKind, type SstEntry, SstReader, SstWriter } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'

function fixture(file: string): Uint8Array {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`fixtures/${file}`, import.meta.url))))
}

async function open(file: string): Promise<SstReader> {
  const bytes = fixture(file)
  const access = { sizeBytes: bytes.length, read: async (at: number, size: number) => bytes.slice(at, at + size) }
  return SstReader.open(access, file)
}

async function list(reader: SstReader): Promise<SstEntry[]> {
  const entries: SstEntry[] = []
  for await (const entry of reader.entries()) entries.push(entry)
  return entries
}

/** What Moraine's fixtures hold: versions, deletes, merges, keys with shared prefixes, a large sequence number. */
function moraineEntries(): SstEntry[] {
  const entries: SstEntry[] = []
  for (let i = 0; i < 80; i++) {
    const key = utf8Encode(`account/${String(i).padStart(4, '0')}/balance`)
    for (let seq = i % 10 === 0 ? 6 : 1; seq > 0; seq--) {
      const kind = seq === 2 ? EntryKind.delete : seq === 3 ? EntryKind.merge : EntryKind.put
      const value = kind === EntryKind.delete ? new Uint8Array(0) : utf8Encode(`balance ${i} at ${seq} `.repeat(i % 5))
      entries.push({ key, seq: i === 40 && seq === 6 ? Number.MAX_SAFE_INTEGER : seq, kind, value })
    }
  }
  return entries
}

/** What the fixture with range tombstones holds besides: overlapping ones, beyond the last key, of one start and number. */
const RANGES = [
  ['account/0010', 'account/0020', 9],
  ['account/0015', 'account/9', 3],
  ['account/0015', 'b', 3],
  ['', 'account', Number.MAX_SAFE_INTEGER],
] as const

/** With `declared`, the table has range tombstones and says that its values are enveloped. */
function writeMoraine(compression: 'none' | 'lz4', declared = false): Uint8Array {
  const chunks: Uint8Array[] = []
  const settings = {
    ...defaultSstWriterSettings,
    blockSizeBytes: 500,
    compression,
    createdAtMs: 1_700_000_000_000,
    databaseId: '00112233445566778899aabbccddeeff',
    ...(declared && { enveloped: true }),
  }
  const writer = new SstWriter(settings, (chunk) => chunks.push(chunk))
  for (const { key, seq, kind, value } of moraineEntries()) writer.add(key, 0, key.length, seq, kind, value, 0, value.length)
  if (declared) for (const [start, end, seq] of RANGES) writer.addRangeTombstone(utf8Encode(start), utf8Encode(end), seq)
  writer.finish(declared ? { 'app.known': 'at the end' } : undefined)
  return new Uint8Array(Buffer.concat(chunks))
}

describe.each(['moraine-1-none.sst', 'moraine-1-lz4.sst'])('%s', (file) => {
  test('is read as it was written', async () => {
    const reader = await open(file)
    expect(await reader.check()).toEqual({ problems: [], blockCount: reader.blockCount, entryCount: 120 })
    expect(await list(reader)).toEqual(moraineEntries())
    expect(reader.metadata.filter).toBeDefined()
    expect(reader.metadata.properties.databaseId).toBe('00112233445566778899aabbccddeeff')
  })
})

test('moraine-1-ranges.sst is read as it was written', async () => {
  const reader = await open('moraine-1-ranges.sst')
  expect(await reader.check()).toEqual({ problems: [], blockCount: reader.blockCount, entryCount: 124 })
  expect(await list(reader)).toEqual(moraineEntries())
  const { enveloped, rangeTombstones, properties } = reader.metadata
  expect(enveloped).toBe(true)
  expect(rangeTombstones.map(({ start, end, seq }) => [utf8Decode(start), utf8Decode(end), seq])).toEqual([
    RANGES[3],
    RANGES[0],
    RANGES[1],
    RANGES[2],
  ])
  expect([properties.smallestKey, properties.largestKey, properties.largestKeyExcluded]).toEqual([utf8Encode(''), utf8Encode('b'), true])
})

// LZ4 may compress differently from one version of its library to the next; everything else is ours.
test('the same entries become the same bytes', () => {
  expect(Buffer.compare(writeMoraine('none'), fixture('moraine-1-none.sst'))).toBe(0)
  expect(Buffer.compare(writeMoraine('none', true), fixture('moraine-1-ranges.sst'))).toBe(0)
})

describe.each([
  ['rocksdb-7.8-xxh3.sst', 60],
  ['rocksdb-7.8-two-level.sst', 61],
])('%s', (file, entryCount) => {
  test('is read as RocksDB wrote it', async () => {
    const reader = await open(file)
    expect(await reader.check()).toEqual({ problems: [], blockCount: reader.blockCount, entryCount })
    const entries = (await list(reader)).filter(({ key }) => key.length > 1)
    expect(entries.map(({ key, value }) => `${utf8Decode(key)} ==> ${utf8Decode(value)}`)).toEqual(
      Array.from({ length: 60 }, (_, i) => `key${String(i).padStart(4, '0')} ==> ${'value'.repeat(i % 9)}${i}`),
    )
    expect(new Set(entries.map(({ kind }) => kind))).toEqual(new Set([EntryKind.put]))
  })
})

test('rocksdb-7.8-range-deletion.sst has no entries and one range deletion', async () => {
  const reader = await open('rocksdb-7.8-range-deletion.sst')
  expect(await list(reader)).toEqual([])
  expect(reader.metadata.rangeTombstones).toMatchObject([{ start: utf8Encode('key0020'), end: utf8Encode('key0030') }])
  expect(await reader.check()).toEqual({ problems: [], blockCount: 0, entryCount: 1 })
})
