// Invariant: a table gives back exactly the range tombstones that were added, in one order whatever the order of adding,
// and its summary, properties and bounds cover them; what is no range tombstone, or no order of them, is an error.
import { crc32c, isMoraineError, maskCrc32c, SeededRandom, utf8Decode, utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { decodeBlock } from '../block/decode-block.ts'
import { EntryKind } from '../entry-kind.ts'
import { writeKeyTrailer } from '../format/internal-key.ts'
import { BlockBuilder } from '../block/block-builder.ts'
import { PropertyName } from '../properties/property-names.ts'
import type { SstMetadata } from '../sst-metadata.ts'
import { SstReader } from '../sst-reader.ts'
import type { SstSummary } from '../sst-summary.ts'
import { parseSstTail } from '../sst-tail.ts'
import { SstWriter } from '../sst-writer.ts'
import { defaultSstWriterSettings, type SstWriterSettings } from '../sst-writer-settings.ts'
import { decodeRangeTombstones } from './range-tombstone-block.ts'

type Range = readonly [start: string, end: string, seq: number]

interface Written {
  readonly file: Uint8Array
  readonly summary: SstSummary
  readonly metadata: SstMetadata
}

const NAME = 'ranges.sst'

/** Puts of `keys` at sequence number 5, with the ranges added before, between and after them. */
function write(keys: readonly string[], ranges: readonly Range[], settings: Partial<SstWriterSettings> = {}): Written {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, ...settings }, (chunk) => chunks.push(chunk))
  const left = [...ranges]
  const addRange = (): void => {
    const range = left.shift()
    if (range === undefined) return
    const [start, end, seq] = range
    // The arguments are the caller's to reuse, and a Buffer's slice would share its memory.
    const reused = [Buffer.from(start), Buffer.from(end)] as const
    writer.addRangeTombstone(...reused, seq)
    for (const bytes of reused) bytes.fill(0xee)
  }
  for (const key of keys) {
    addRange()
    const bytes = utf8Encode(key)
    writer.add(bytes, 0, bytes.length, settings.externalFile === true ? 0 : 5, EntryKind.put, bytes, 0, bytes.length)
  }
  while (left.length > 0) addRange()
  const summary = writer.finish()
  const file = new Uint8Array(Buffer.concat(chunks))
  return { file, summary, metadata: parseSstTail(file.slice(summary.tailOffset), { name: NAME, ...summary }) }
}

function openReader(file: Uint8Array): Promise<SstReader> {
  return SstReader.open({ sizeBytes: file.length, read: async (at, size) => file.slice(at, at + size) }, NAME)
}

function shown(metadata: SstMetadata): Range[] {
  return metadata.rangeTombstones.map(({ start, end, seq }) => [utf8Decode(start), utf8Decode(end), seq])
}

describe('range tombstones', () => {
  const ordered: Range[] = [
    ['', 'c', 3],
    ['a', 'z', 9],
    ['a', 'z', 4],
    ['a', 'b', 1],
    ['a', 'c', 1],
    ['ab', 'd', Number.MAX_SAFE_INTEGER],
    ['k', 'l', 0],
  ]

  test('stand in one order, whatever the order of adding, beside entries and without them', async () => {
    const random = new SeededRandom(21)
    for (let round = 0; round < 20; round++) {
      const added = ordered.map((range) => ({ range, place: random.next() })).sort((a, b) => a.place - b.place)
      for (const keys of [[], ['b'], ['b', 'k', 'x', 'y']]) {
        const { file, summary, metadata } = write(keys, added.map(({ range }) => range), { blockSizeBytes: 1 })
        expect(shown(metadata)).toEqual(ordered)
        expect(summary.dataBlockCount).toBe(keys.length)
        const reader = await openReader(file)
        expect(shown(reader.metadata)).toEqual(ordered)
        const entryCount = keys.length + ordered.length
        expect(await reader.check()).toEqual({ problems: [], blockCount: keys.length, entryCount })
      }
    }
  })

  test('are counted as entries, deletions and raw bytes', () => {
    const { summary, metadata } = write(['key'], ordered)
    const counts = {
      entryCount: 1 + ordered.length,
      deletionCount: ordered.length,
      rawKeyBytes: 3 + 8 + ordered.reduce((sum, [start]) => sum + start.length + 8, 0),
      rawValueBytes: 3 + ordered.reduce((sum, [, end]) => sum + end.length, 0),
    }
    expect(summary).toMatchObject({ ...counts, rangeTombstoneCount: ordered.length })
    expect(metadata.properties).toMatchObject({ ...counts, rangeDeletionCount: ordered.length })
  })

  test.each([
    ['of entries alone', ['d', 'g'], [], ['d', 'g', false, 5, 5]],
    ['of tombstones alone', [], [['f', 'p', 7], ['b', 'c', 2]], ['b', 'p', true, 2, 7]],
    ['of an end above the last key', ['d', 'g'], [['e', 'ga', 5]], ['d', 'ga', true, 5, 5]],
    ['of an end at the last key, which is a key of the table', ['d', 'g'], [['a', 'g', 4]], ['a', 'g', false, 4, 5]],
    ['of tombstones between the entries', ['d', 'g'], [['e', 'f', 6]], ['d', 'g', false, 5, 6]],
    ['of the empty key', ['d'], [['', 'a', 6]], ['', 'd', false, 5, 6]],
  ] as [string, string[], Range[], [string, string, boolean, number, number]][])('bounds %s', async (_, keys, ranges, expected) => {
    const [smallest, largest, largestKeyExcluded, smallestSeq, largestSeq] = expected
    const bounds = { smallestKey: utf8Encode(smallest), largestKey: utf8Encode(largest), largestKeyExcluded, smallestSeq, largestSeq }
    const { file, summary, metadata } = write(keys, ranges)
    expect(summary).toMatchObject(bounds)
    expect(metadata.properties).toMatchObject(bounds)
    expect((await (await openReader(file)).check()).problems).toEqual([])
  })

  test('take room in the estimate of the size', () => {
    const writer = new SstWriter(defaultSstWriterSettings, () => {})
    const before = writer.estimatedSizeBytes
    for (let i = 0; i < 1000; i++) writer.addRangeTombstone(new Uint8Array(100), new Uint8Array(101), i)
    expect(writer.entryCount).toBe(1000)
    const grown = writer.estimatedSizeBytes - before
    const actual = writer.finish().sizeBytes
    expect(grown).toBeGreaterThan(200_000)
    expect(Math.abs(before + grown - actual)).toBeLessThan(actual / 10)
  })

  test('pitfall 23: are copies of exactly their size, counted in the memory of the table; a table without any shares one list', () => {
    const none = write(['a'], []).metadata
    expect(none.rangeTombstones).toBe(write(['b'], []).metadata.rangeTombstones)
    const one = write(['a'], [['a'.repeat(1000), 'b'.repeat(3000), 1]])
    for (const { start, end } of one.metadata.rangeTombstones) {
      expect(start.buffer.byteLength).toBe(1000)
      expect(end.buffer.byteLength).toBe(3000)
    }
    expect(one.metadata.memoryBytes - none.memoryBytes).toBeGreaterThan(4000)
  })

  test('a table of tombstones alone has no blocks, no filter, and nothing to find', async () => {
    const { file, summary, metadata } = write([], [['a', 'b', 1]])
    expect(summary).toMatchObject({ tailOffset: 0, dataBlockCount: 0, entryCount: 1 })
    expect(metadata.filter).toBeUndefined()
    expect(metadata.index.findBlock(utf8Encode('a'), 0, 1, 9)).toBe(0)
    expect(metadata.index.blockCount).toBe(0)
    const reader = await openReader(file)
    for (const range of [{}, { reverse: true }, { from: utf8Encode('a') }, { to: utf8Encode('b') }]) {
      expect(await reader.entries(range).next()).toEqual({ done: true, value: undefined })
    }
    expect(await reader.versions(utf8Encode('a'))).toEqual([])
  })

  test('entries beside them are found as before', () => {
    const { file, metadata } = write(['a', 'b', 'c'], [['a', 'c', 9]])
    const block = decodeBlock(file.slice(0, metadata.index.blockLength(0)), metadata, 0, NAME)
    expect(block.findKey(utf8Encode('b'), 0, 1, 9)).toBe(1)
    expect(block.entryCount).toBe(3)
  })

  test('an external file takes them at sequence number zero', () => {
    const { metadata } = write(['a'], [['a', 'c', 0]], { externalFile: true })
    expect(shown(metadata)).toEqual([['a', 'c', 0]])
  })
})

describe('a writer refuses a range tombstone', () => {
  const writer = (settings: Partial<SstWriterSettings> = {}): SstWriter =>
    new SstWriter({ ...defaultSstWriterSettings, ...settings }, () => {})
  const add = (to: SstWriter, start: string, end: string, seq: number): void =>
    to.addRangeTombstone(utf8Encode(start), utf8Encode(end), seq)
  test.each([
    ['that is empty', () => add(writer(), 'a', 'a', 1), /is empty/],
    ['that ends before it starts', () => add(writer(), 'b', 'a', 1), /is empty/],
    ['with a negative sequence number', () => add(writer(), 'a', 'b', -1), /cannot stand/],
    ['with a sequence number of 2^53', () => add(writer(), 'a', 'b', 2 ** 53), /cannot stand/],
    ['with a sequence number in an external file', () => add(writer({ externalFile: true }), 'a', 'b', 1), /sequence number 0 only/],
    ['behind the end', () => {
      const finished = writer()
      add(finished, 'a', 'b', 1)
      finished.finish()
      add(finished, 'c', 'd', 1)
    }, /after the table was finished/],
  ] as [string, () => void, RegExp][])('%s', (_, attempt, message) => {
    let thrown: unknown
    try {
      attempt()
    } catch (error) {
      thrown = error
    }
    expect(isMoraineError(thrown, 'INTERNAL')).toBe(true)
    expect((thrown as Error).message).toMatch(message)
  })
})

describe('pitfall 16: range tombstones that cannot be what was written', () => {
  const key = (text: string, seq: number, kind: number = EntryKind.deleteRange): Uint8Array => {
    const bytes = new Uint8Array([...utf8Encode(text), 0, 0, 0, 0, 0, 0, 0, 0])
    writeKeyTrailer(bytes, text.length, seq, kind)
    return bytes
  }
  const block = (entries: readonly [Uint8Array, string][], restartInterval = 1): Uint8Array => {
    const builder = new BlockBuilder(restartInterval)
    for (const [internalKey, end] of entries) builder.add(internalKey, utf8Encode(end))
    return builder.finish().slice(0, -5)
  }
  test.each([
    ['another kind', block([[key('a', 1, EntryKind.put), 'b']]), /kind 1/],
    ['an empty range', block([[key('a', 1), 'a']]), /not after its start/],
    ['a reversed range', block([[key('b', 1), 'a']]), /not after its start/],
    ['a key without a trailer', block([[utf8Encode('a'), 'b']]), /shorter than its trailer/],
    ['a sequence number above 2^53', block([[key('a', 2 ** 53), 'b']]), /above 2\^53/],
    ['a key that is not stored whole', block([[key('aa', 1), 'b'], [key('ab', 1), 'c']], 16), /store its key whole/],
    ['a block that is cut', block([[key('a', 1), 'b']]).slice(0, 6), /too short|ends too early/],
  ] as [string, Uint8Array, RegExp][])('%s is CORRUPTION', (_, content, message) => {
    let thrown: unknown
    try {
      decodeRangeTombstones(content, NAME)
    } catch (error) {
      thrown = error
    }
    expect(isMoraineError(thrown, 'CORRUPTION')).toBe(true)
    expect((thrown as Error).message).toMatch(message)
    expect((thrown as Error).message).toContain(NAME)
  })

  /** Changes bytes of the table's block of range tombstones, whose checksum is made right again. */
  async function forged(written: Written, change: (content: Uint8Array) => void): Promise<Uint8Array> {
    const { offset, size } = (await openReader(written.file)).metaBlocks.get('rocksdb.range_del') as { offset: number; size: number }
    const file = written.file.slice()
    change(file.subarray(offset, offset + size))
    new DataView(file.buffer).setUint32(offset + size + 1, maskCrc32c(crc32c(file, offset, offset + size + 1)), true)
    return file
  }

  test('another order is CORRUPTION to the engine and a problem to a check', async () => {
    const written = write([], [['b', 'x', 1], ['c', 'x', 1]])
    const file = await forged(written, (content) => content.set(utf8Encode('d'), 3))
    expect(() => parseSstTail(file, { name: NAME, sizeBytes: file.length, tailOffset: 0 })).toThrow(/not in order/)
    expect((await (await openReader(file)).check()).problems.join('\n')).toMatch(/not in order/)
  })

  test('another count than the properties’ is CORRUPTION to the engine and a problem to a check', async () => {
    const written = write([], [['b', 'x', 1], ['c', 'x', 1]])
    // The first entry swallows the second as a part of its value: header, key with trailer, value.
    const file = await forged(written, (content) => {
      content[2] = 1 + 3 + 9 + 1
    })
    expect(() => parseSstTail(file, { name: NAME, sizeBytes: file.length, tailOffset: 0 })).toThrow(/1 range tombstones, its properties say 2/)
    expect((await (await openReader(file)).check()).problems.join('\n')).toMatch(/1 range tombstones, its properties say 2/)
  })
})

describe('the declarations of a table', () => {
  const finish = (settings: Partial<SstWriterSettings>, properties?: Readonly<Record<string, string>>): SstMetadata => {
    const chunks: Uint8Array[] = []
    const writer = new SstWriter({ ...defaultSstWriterSettings, ...settings }, (chunk) => chunks.push(chunk))
    writer.add(utf8Encode('k'), 0, 1, 1, EntryKind.put, new Uint8Array(1), 0, 1)
    const summary = writer.finish(properties)
    return parseSstTail(new Uint8Array(Buffer.concat(chunks)).slice(summary.tailOffset), { name: NAME, ...summary })
  }

  test('say that its values are enveloped, and nothing when they are not', () => {
    const plain = finish({})
    expect([plain.enveloped, plain.properties.raw.has(PropertyName.values)]).toEqual([false, false])
    expect(finish({ enveloped: false }).properties.raw.has(PropertyName.values)).toBe(false)
    const enveloped = finish({ enveloped: true })
    expect(enveloped.enveloped).toBe(true)
    expect(utf8Decode(enveloped.properties.raw.get('moraine.values') as Uint8Array)).toBe('enveloped')
  })

  test('of a form that is not known are refused: such values would be taken for others', () => {
    expect(() => finish({ userProperties: { 'moraine.values': 'folded' } })).toThrow(/unknown form, folded/)
  })

  test('take the user properties of the settings and those of the end, the latter last', () => {
    const { properties } = finish({ userProperties: { 'app.a': '1', 'app.b': '2' } }, { 'app.b': '3', 'app.c': '4' })
    const texts = ['app.a', 'app.b', 'app.c'].map((name) => utf8Decode(properties.raw.get(name) as Uint8Array))
    expect(texts).toEqual(['1', '3', '4'])
  })
})
