// Invariant: a table gives back exactly the entries that were added, found block by block, key by key and in both
// directions; entries out of order never become a table.
import { isMoraineError, SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { decodeBlock } from './block/decode-block.ts'
import { zstdAvailable } from './compression/zstd-block.ts'
import { EntryKind } from './entry-kind.ts'
import { filterHash } from './filter/key-filter.ts'
import type { SstMetadata } from './sst-metadata.ts'
import { SstReader } from './sst-reader.ts'
import type { SstSummary } from './sst-summary.ts'
import { parseSstTail } from './sst-tail.ts'
import { SstWriter } from './sst-writer.ts'
import { defaultSstWriterSettings, type SstWriterSettings } from './sst-writer-settings.ts'

interface Entry {
  readonly key: Uint8Array
  readonly seq: number
  readonly kind: number
  readonly value: Uint8Array
}

interface Table {
  readonly file: Uint8Array
  readonly summary: SstSummary
  readonly metadata: SstMetadata
}

function write(entries: readonly Entry[], settings: Partial<SstWriterSettings> = {}): Table {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, ...settings }, (chunk) => chunks.push(chunk))
  // Arguments are ranges of larger arrays, which the writer must not keep: they are wiped after every call.
  const shared = new Uint8Array(200_000)
  for (const { key, seq, kind, value } of entries) {
    shared.set(key, 3)
    shared.set(value, 3 + key.length)
    const keyEnd = 3 + key.length
    writer.add(shared, 3, keyEnd, seq, kind, shared, keyEnd, keyEnd + value.length)
    shared.fill(0xee, 0, keyEnd + value.length)
  }
  const summary = writer.finish()
  const file = new Uint8Array(Buffer.concat(chunks))
  return { file, summary, metadata: parseSstTail(file.slice(summary.tailOffset), { name: 'test.sst', ...summary }) }
}

function storedBlock({ file, metadata }: Table, i: number): Uint8Array {
  const offset = metadata.index.blockOffset(i)
  return file.slice(offset, offset + metadata.index.blockLength(i))
}

function readAll(table: Table): Entry[] {
  const entries: Entry[] = []
  for (let i = 0; i < table.metadata.index.blockCount; i++) {
    const block = decodeBlock(storedBlock(table, i), table.metadata, i, 'test.sst')
    for (let e = 0; e < block.entryCount; e++) {
      entries.push({
        key: block.keyBytes.slice(block.keyStart(e), block.keyEnd(e)),
        seq: block.seq(e),
        kind: block.kind(e),
        value: block.valueBytes.slice(block.valueStart(e), block.valueEnd(e)),
      })
    }
  }
  return entries
}

/** Random entries in internal order over few distinct bytes, so that keys share prefixes and are prefixes of others. */
function randomEntries(random: SeededRandom, count: number): Entry[] {
  const alphabet = [0, 1, 0x61, 0x62, 0xfe, 0xff]
  const entries = new Map<string, Entry>()
  const keys: Uint8Array[] = []
  while (entries.size < count) {
    const repeats = keys.length > 0 && random.chance(0.3)
    const key = repeats ? random.pick(keys) : new Uint8Array(random.below(9)).map(() => random.pick(alphabet))
    const seq = random.chance(0.1) ? Math.floor(random.next() * Number.MAX_SAFE_INTEGER) : random.below(500)
    const kind = random.pick([EntryKind.put, EntryKind.put, EntryKind.delete, EntryKind.merge])
    const value = kind === EntryKind.delete ? new Uint8Array(0) : random.fill(new Uint8Array(random.below(40)))
    keys.push(key)
    entries.set(`${Buffer.from(key).toString('hex')}@${seq}`, { key, seq, kind, value })
  }
  return [...entries.values()].sort(internalOrder)
}

function internalOrder(a: { key: Uint8Array; seq: number }, b: { key: Uint8Array; seq: number }): number {
  return Buffer.compare(a.key, b.key) || b.seq - a.seq
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

const VARIANTS: Partial<SstWriterSettings>[] = [
  {},
  { compression: 'none', blockSizeBytes: 64, restartInterval: 1 },
  ...(zstdAvailable ? [{ compression: 'zstd' as const, blockSizeBytes: 2000 }] : []),
  { compression: 'none', blockSizeBytes: 300, restartInterval: 3, filterBitsPerKey: 0 },
  { blockSizeBytes: 150, restartInterval: 16, filterBitsPerKey: 3 },
]

describe('a table', () => {
  test.each(VARIANTS)('gives back what was added: %o', (settings) => {
    const random = new SeededRandom(11)
    for (const count of [1, 2, 17, 400]) {
      const entries = randomEntries(random, count)
      const table = write(entries, settings)
      expect(readAll(table)).toEqual(entries)
      expect(table.summary).toMatchObject({
        sizeBytes: table.file.length,
        entryCount: count,
        deletionCount: entries.filter(({ kind }) => kind === EntryKind.delete).length,
        smallestKey: entries[0]?.key,
        largestKey: entries.at(-1)?.key,
        smallestSeq: Math.min(...entries.map(({ seq }) => seq)),
        largestSeq: Math.max(...entries.map(({ seq }) => seq)),
        rawKeyBytes: entries.reduce((sum, { key }) => sum + key.length + 8, 0),
        rawValueBytes: entries.reduce((sum, { value }) => sum + value.length, 0),
        dataBlockCount: table.metadata.index.blockCount,
      })
      expect(table.metadata.properties).toMatchObject({
        entryCount: table.summary.entryCount,
        smallestKey: table.summary.smallestKey,
        largestKey: table.summary.largestKey,
        smallestSeq: table.summary.smallestSeq,
        largestSeq: table.summary.largestSeq,
      })
    }
  })

  test.each(VARIANTS)('leads every (key, sequence) to the entry that a sorted list gives: %o', (settings) => {
    const random = new SeededRandom(12)
    const entries = randomEntries(random, 300)
    const table = write(entries, settings)
    const { index, filter } = table.metadata
    const probes = entries.flatMap(({ key, seq }) => [
      { key, seq },
      { key, seq: seq + 1 },
      { key, seq: Math.max(0, seq - 1) },
      { key, seq: Number.MAX_SAFE_INTEGER },
      { key: new Uint8Array([...key, 0]), seq },
      { key: key.slice(0, -1), seq },
    ])
    for (const probe of [...probes, ...randomEntries(random, 300)]) {
      const { key, seq } = probe
      // The probe stands somewhere inside a larger array.
      const bytes = new Uint8Array([9, ...key, 9])
      const end = 1 + key.length
      const expected = entries.find((entry) => internalOrder(entry, probe) >= 0)
      const i = index.findBlock(bytes, 1, end, seq)
      if (i === index.blockCount) {
        expect(expected).toBeUndefined()
        continue
      }
      const block = decodeBlock(storedBlock(table, i), table.metadata, i, 'test.sst')
      const e = block.find(bytes, 1, end, seq)
      // Behind the last entry of its block, the next one in order is the first of the next block.
      if (e === block.entryCount) {
        const next = i + 1 < index.blockCount ? decodeBlock(storedBlock(table, i + 1), table.metadata, i + 1, 'x') : undefined
        expect(next?.keyBytes.slice(next.keyStart(0), next.keyEnd(0))).toEqual(expected?.key)
        expect(next?.seq(0)).toBe(expected?.seq)
      } else {
        expect(block.keyBytes.slice(block.keyStart(e), block.keyEnd(e))).toEqual(expected?.key)
        expect(block.seq(e)).toBe(expected?.seq)
      }
      const exact = expected !== undefined && Buffer.compare(expected.key, key) === 0
      const found = block.findKey(bytes, 1, end, seq)
      expect(found === -1 ? undefined : block.seq(found)).toBe(exact ? expected.seq : undefined)
      if (exact && filter !== undefined) expect(filter.mayContain(filterHash(bytes, 1, end))).toBe(true)
    }
  })

  test('is read both ways and in ranges by SstReader', async () => {
    const entries = randomEntries(new SeededRandom(13), 300)
    const { file } = write(entries, { blockSizeBytes: 200 })
    const access = { sizeBytes: file.length, read: async (at: number, size: number) => file.slice(at, at + size) }
    const reader = await SstReader.open(access, 'test.sst')
    expect(await reader.check()).toEqual({ problems: [], blockCount: reader.blockCount, entryCount: 300 })
    const bounds = [undefined, new Uint8Array(0), ...entries.filter((_, i) => i % 60 === 0).map(({ key }) => key), new Uint8Array([0xff, 0xff, 0xff, 0xff])]
    for (const from of bounds) {
      for (const to of bounds) {
        const expected = entries.filter(
          ({ key }) => (from === undefined || Buffer.compare(key, from) >= 0) && (to === undefined || Buffer.compare(key, to) < 0),
        )
        const range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
        expect(await collect(reader.entries(range))).toEqual(expected)
        expect(await collect(reader.entries({ ...range, reverse: true }))).toEqual(expected.toReversed())
      }
    }
    for (const { key } of entries) {
      expect(await reader.versions(key)).toEqual(entries.filter((entry) => Buffer.compare(entry.key, key) === 0))
    }
  })

  test('holds a value far larger than a block, which is streamed', () => {
    const chunks: Uint8Array[] = []
    const writer = new SstWriter(defaultSstWriterSettings, (chunk) => chunks.push(chunk))
    const huge = new Uint8Array(65 * 1024 * 1024)
    for (let i = 0; i < huge.length; i += 4096) huge[i] = i >>> 12
    const add = (key: string, value: Uint8Array): void => {
      writer.add(utf8Encode(key), 0, key.length, 1, EntryKind.put, value, 0, value.length)
    }
    add('a', utf8Encode('before'))
    add('b', huge)
    add('c', utf8Encode('after'))
    const summary = writer.finish()
    const file = new Uint8Array(Buffer.concat(chunks))
    expect(file.length).toBe(summary.sizeBytes)
    expect(summary.dataBlockCount).toBe(3)
    const metadata = parseSstTail(file.subarray(summary.tailOffset), { name: 'huge.sst', ...summary })
    const block = decodeBlock(storedBlock({ file, summary, metadata }, 1), metadata, 1, 'huge.sst')
    expect(Buffer.compare(block.valueBytes.subarray(block.valueStart(0), block.valueEnd(0)), huge)).toBe(0)
    const last = decodeBlock(storedBlock({ file, summary, metadata }, 2), metadata, 2, 'huge.sst')
    expect(last.findKey(utf8Encode('c'), 0, 1, 1)).toBe(0)
  })

  test('keeps a block raw when compression saves little', () => {
    const random = new SeededRandom(14)
    const entries = Array.from({ length: 200 }, (_, i) => ({
      key: utf8Encode(String(i).padStart(5, '0')),
      seq: 1,
      kind: EntryKind.put,
      value: random.fill(new Uint8Array(1000)),
    }))
    const { file, metadata } = write(entries)
    const compressionTypes = Array.from({ length: metadata.index.blockCount }, (_, i) => {
      return file[metadata.index.blockOffset(i) + metadata.index.blockLength(i) - 5]
    })
    expect(new Set(compressionTypes)).toEqual(new Set([0]))
  })
})

describe('a writer refuses', () => {
  const put = (writer: SstWriter, key: string, seq: number, kind: number = EntryKind.put): void =>
    writer.add(utf8Encode(key), 0, key.length, seq, kind, new Uint8Array(0), 0, 0)
  const started = (settings: Partial<SstWriterSettings> = {}): SstWriter => {
    const writer = new SstWriter({ ...defaultSstWriterSettings, ...settings }, () => {})
    put(writer, 'key', settings.externalFile === true ? 0 : 5)
    return writer
  }
  const refusals: [string, () => void][] = [
    ['the same entry twice', () => put(started(), 'key', 5)],
    ['a newer version behind an older one', () => put(started(), 'key', 6)],
    ['a smaller key', () => put(started(), 'kex', 5)],
    ['a prefix of the key before', () => put(started(), 'ke', 5)],
    ['the empty key behind another', () => put(started(), '', 5)],
    ['a range deletion among the entries', () => put(started(), 'z', 5, EntryKind.deleteRange)],
    ['a negative sequence number', () => put(started(), 'z', -1)],
    ['a sequence number of 2^53', () => put(started(), 'z', 2 ** 53)],
    ['a sequence number in an external file', () => put(started({ externalFile: true }), 'z', 1)],
    ['a table without entries', () => new SstWriter(defaultSstWriterSettings, () => {}).finish()],
    ['an entry behind the end', () => {
      const writer = started()
      writer.finish()
      put(writer, 'z', 5)
    }],
  ]
  test.each(refusals)('%s', (_, attempt) => {
    expect(attempt).toThrow()
    try {
      attempt()
    } catch (error) {
      expect(isMoraineError(error, 'INTERNAL')).toBe(true)
    }
  })
})
