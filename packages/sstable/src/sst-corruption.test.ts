// Invariant: damaged bytes give a MoraineError that names the file, or the right answer; never a wrong answer, another
// kind of error, or an allocation of a forged size.
import { crc32c, isMoraineError, maskCrc32c, SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { decodeBlock } from './block/decode-block.ts'
import { zstdAvailable } from './compression/zstd-block.ts'
import { EntryKind } from './entry-kind.ts'
import { filterHash } from './filter/key-filter.ts'
import { openBlock, writeBlockTrailer } from './format/block-trailer.ts'
import { ChecksumType } from './format/checksum.ts'
import { decodeFooter, FOOTER_BYTES } from './format/footer.ts'
import type { RandomAccess } from './random-access.ts'
import { SstReader } from './sst-reader.ts'
import type { SstSummary } from './sst-summary.ts'
import { parseSstTail } from './sst-tail.ts'
import { SstWriter } from './sst-writer.ts'
import { defaultSstWriterSettings, type SstWriterSettings } from './sst-writer-settings.ts'

const NAME = 'damaged.sst'

/** How a table is written, and how many range tombstones it has. */
interface Shape extends Partial<SstWriterSettings> {
  readonly tombstones?: number
}

function write({ tombstones = 0, ...settings }: Shape): { file: Uint8Array; summary: SstSummary } {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, blockSizeBytes: 200, ...settings }, (chunk) => chunks.push(chunk))
  for (let i = 0; i < 40; i++) {
    const key = utf8Encode(`key${String(i).padStart(3, '0')}`)
    for (let seq = i % 8 === 0 ? 4 : 1; seq > 0; seq--) {
      const value = utf8Encode(`value ${i} of ${seq}`)
      writer.add(key, 0, key.length, seq, EntryKind.put, value, 0, value.length)
    }
  }
  for (let i = 0; i < tombstones; i++) writer.addRangeTombstone(utf8Encode(`key00${i}`), utf8Encode(`key01${i}`), 2 + (i % 3))
  const summary = writer.finish()
  return { file: new Uint8Array(Buffer.concat(chunks)), summary }
}

/** Everything that the engine can learn from a file, in a comparable form. */
function answers(file: Uint8Array, tailOffset: number): string {
  const metadata = parseSstTail(file.slice(tailOffset), { name: NAME, sizeBytes: file.length, tailOffset })
  const { index, filter } = metadata
  const lines: string[] = [JSON.stringify({ ...metadata.properties, raw: [...metadata.properties.raw] })]
  for (const { start, end, seq } of metadata.rangeTombstones) lines.push(`[${start}, ${end}) ${seq}`)
  for (let i = 0; i < index.blockCount; i++) {
    const offset = index.blockOffset(i)
    const block = decodeBlock(file.slice(offset, offset + index.blockLength(i)), metadata, i, NAME)
    for (let e = 0; e < block.entryCount; e++) {
      const key = block.keyBytes.slice(block.keyStart(e), block.keyEnd(e))
      const value = block.valueBytes.slice(block.valueStart(e), block.valueEnd(e))
      const denied = filter !== undefined && !filter.mayContain(filterHash(key, 0, key.length))
      lines.push(`${index.findBlock(key, 0, key.length, block.seq(e))} ${key} ${block.seq(e)} ${block.kind(e)} ${value} ${denied}`)
    }
  }
  return lines.join('\n')
}

function accessOf(file: Uint8Array): RandomAccess {
  return { sizeBytes: file.length, read: async (at, size) => file.slice(at, at + size) }
}

async function readerAnswers(file: Uint8Array): Promise<string> {
  const reader = await SstReader.open(accessOf(file), NAME)
  const lines = reader.metadata.rangeTombstones.map(({ start, end, seq }) => `[${start}, ${end}) ${seq}`)
  for await (const { key, seq, kind, value } of reader.entries()) lines.push(`${key} ${seq} ${kind} ${value}`)
  const { problems } = await reader.check()
  return [...lines, ...problems].join('\n')
}

/** The outcome of `read`: its answer, or undefined for an error of the right kind. Any other error is thrown on. */
function outcome(read: () => string): string | undefined {
  try {
    return read()
  } catch (error) {
    if (isMoraineError(error, 'CORRUPTION') && error.message.includes(NAME)) return undefined
    throw error
  }
}

async function readerOutcome(file: Uint8Array): Promise<string | undefined> {
  try {
    return await readerAnswers(file)
  } catch (error) {
    if ((isMoraineError(error, 'CORRUPTION') || isMoraineError(error, 'INVALID')) && error.message.includes(NAME)) return undefined
    throw error
  }
}

const SETTINGS: Shape[] = [
  { compression: 'none' },
  { compression: 'none', tombstones: 7, enveloped: true },
  { compression: 'lz4', filterBitsPerKey: 0, blockSizeBytes: 600 },
  ...(zstdAvailable ? [{ compression: 'zstd' as const, blockSizeBytes: 900 }] : []),
]

describe.each(SETTINGS)('a table with %o', (settings) => {
  const { file, summary } = write(settings)
  const sound = answers(file, summary.tailOffset)

  test('pitfall 16: any flipped bit is an error or changes nothing', async () => {
    const random = new SeededRandom(1)
    const soundReading = await readerAnswers(file)
    for (let at = 0; at < file.length; at++) {
      const damaged = file.slice()
      damaged[at] = (damaged[at] as number) ^ (1 << random.below(8))
      // Only the engine knows beforehand where the tail starts and what its checksum is; without it, too.
      expect([undefined, sound]).toContain(outcome(() => answers(damaged, summary.tailOffset)))
      expect([undefined, soundReading]).toContain(await readerOutcome(damaged))
    }
  })

  test('a file cut anywhere is an error', async () => {
    for (let size = 0; size < file.length; size++) {
      const cut = file.slice(0, size)
      expect(await readerOutcome(cut)).toBeUndefined()
      if (size >= summary.tailOffset) expect(outcome(() => answers(cut, summary.tailOffset))).toBeUndefined()
    }
  })

  test('the tail of another file does not match the checksum on record', () => {
    const tail = file.slice(summary.tailOffset)
    const source = { name: NAME, ...summary }
    expect(parseSstTail(tail, source).index.blockCount).toBe(summary.dataBlockCount)
    expect(() => parseSstTail(tail, { ...source, tailCrc32c: summary.tailCrc32c ^ 1 })).toThrow(/another file/)
    expect(() => parseSstTail(tail, { ...source, sizeBytes: summary.sizeBytes + 1 })).toThrow(/damaged\.sst is damaged/)
  })

  test('pitfall 16: whole blocks in each other’s place are seen', () => {
    const metadata = parseSstTail(file.slice(summary.tailOffset), { name: NAME, ...summary })
    const { index } = metadata
    const stored = Array.from({ length: index.blockCount }, (_, i) =>
      file.slice(index.blockOffset(i), index.blockOffset(i) + index.blockLength(i)),
    )
    expect(stored.length).toBeGreaterThan(1)
    for (const [i, bytes] of stored.entries()) {
      for (let place = 0; place < stored.length; place++) {
        const read = (): number => decodeBlock(bytes, metadata, place, NAME).entryCount
        if (place === i) expect(read()).toBeGreaterThan(0)
        else expect(read).toThrow(/damaged\.sst is damaged/)
      }
    }
  })

  // Checksums protect against accidents only. With every checksum made right again, nothing may hang, crash or answer with
  // anything but a MoraineError; what the entries say is then up to the forger.
  test('pitfall 30: forged blocks with sound checksums are survived', async () => {
    const random = new SeededRandom(2)
    const footer = decodeFooter(file, NAME)
    const { index } = parseSstTail(file.slice(summary.tailOffset), { name: NAME, ...summary })
    const reader = await SstReader.open(accessOf(file), NAME)
    const places = [
      [footer.index.offset, footer.index.size],
      [footer.metaindex.offset, footer.metaindex.size],
      ...Array.from({ length: index.blockCount }, (_, i) => [index.blockOffset(i), index.blockLength(i) - 5]),
      ...[...reader.metaBlocks.values()].map(({ offset, size }) => [offset, size]),
    ] as [number, number][]
    for (let round = 0; round < 3000; round++) {
      const forged = file.slice()
      const [offset, size] = random.pick(places)
      for (let changes = 1 + random.below(3); changes > 0; changes--) {
        forged[offset + random.below(size)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)])
      }
      const end = offset + size
      const checksum = maskCrc32c(crc32c(forged, offset, end + 1))
      new DataView(forged.buffer).setUint32(end + 1, checksum, true)
      outcome(() => answers(forged, summary.tailOffset))
      await readerOutcome(forged)
    }
  })
})

describe('pitfall 30: a compressed block', () => {
  const seal = (content: readonly number[]): Uint8Array => {
    const block = new Uint8Array(content.length + 5)
    block.set(content)
    writeBlockTrailer(block, 0, content.length, 4)
    return block
  }
  const open = (block: Uint8Array): Uint8Array =>
    openBlock(block, 0, block.length, ChecksumType.crc32c, NAME, 'the block')

  test.each([
    ['declares 4 GiB', [0xff, 0xff, 0xff, 0xff, 0x0f, 0x10, 0x61]],
    ['declares more than LZ4 can expand to', [0xff, 0x7f, 0x10, 0x61]],
    ['declares less than it holds', [0x01, 0x50, 0x61, 0x62, 0x63, 0x64, 0x65]],
    ['declares more than it holds', [0x20, 0x50, 0x61, 0x62, 0x63, 0x64, 0x65]],
    ['has a declared size that does not end', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['is empty', []],
    ['points before its start', [0x20, 0x1f, 0x61, 0xff, 0xff, 0x00]],
  ])('that %s is CORRUPTION', (_, content) => {
    expect(outcome(() => String(open(seal(content))))).toBeUndefined()
  })

  test('that is sound is opened', () => {
    expect([...open(seal([0x05, 0x50, 0x61, 0x62, 0x63, 0x64, 0x65]))]).toEqual([0x61, 0x62, 0x63, 0x64, 0x65])
  })
})

test('a decoded block holds on to no more than itself', () => {
  const { file, summary } = write({ compression: 'none' })
  const metadata = parseSstTail(file.slice(summary.tailOffset), { name: NAME, ...summary })
  const view = file.subarray(0, metadata.index.blockLength(0))
  const block = decodeBlock(view, metadata, 0, NAME)
  expect(block.valueBytes.buffer).not.toBe(file.buffer)
  expect(block.valueBytes.buffer.byteLength).toBeLessThanOrEqual(view.length)
  expect(block.keyBytes.buffer.byteLength).toBe(block.keyBytes.byteLength)
  expect(FOOTER_BYTES).toBe(53)
})
