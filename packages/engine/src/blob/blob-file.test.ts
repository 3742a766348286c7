// Invariant: what was written into a blob file comes back value by value and record by record; a byte that was changed
// anywhere, or a record in the place of another, is an error and never another value.
import { ByteWriter, isMoraineError, MoraineError, SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import type { Compression } from '@moraine/sstable'
import { expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { blobIdOf, newBlobSeed } from '../layout/object-names.ts'
import { BlobFileWriter } from './blob-file-writer.ts'
import { BLOB_FOOTER_BYTES, BLOB_HEADER_BYTES, type BlobTotals } from './blob-format.ts'
import { MOST_COMPRESSED_BYTES, valueOfRecord, verifyRecord } from './blob-record.ts'
import { type BlobReference, readReference, writeReference } from './blob-reference.ts'
import { walkBlobFile, type WalkedRecord } from './walk-blob-file.ts'

const ID = blobIdOf(newBlobSeed(7 as Epoch, new SeededRandom(1)), 1)

function write(values: readonly Uint8Array[], compression: Compression = 'lz4'): { bytes: Uint8Array; references: BlobReference[] } {
  const writer = new BlobFileWriter(ID)
  const references = values.map((value) => writer.add(value, 0, value.length, compression))
  const { parts, sizeBytes } = writer.finish()
  const bytes = new Uint8Array(Buffer.concat(parts))
  expect(bytes.length).toBe(sizeBytes)
  return { bytes, references }
}

function valueIn(bytes: Uint8Array, reference: BlobReference): Uint8Array {
  const end = Math.min(bytes.length, reference.offset + reference.recordBytes)
  verifyRecord(reference, bytes, reference.offset, end)
  return valueOfRecord(reference, bytes, reference.offset, end)
}

async function walk(bytes: Uint8Array): Promise<{ records: WalkedRecord[]; totals: BlobTotals }> {
  const records: WalkedRecord[] = []
  const store = new MemoryObjectStore()
  await store.put('x.blob', bytes)
  const walking = walkBlobFile(store, 'x.blob', bytes.length)
  for (;;) {
    const step = await walking.next()
    if (step.done === true) return { records, totals: step.value }
    records.push(step.value)
  }
}

/** Values that compress, values that do not, an empty one and one over two chunks. */
function sampleValues(random: SeededRandom): Uint8Array[] {
  const noise = (length: number): Uint8Array => random.fill(new Uint8Array(length))
  return [noise(1000), new Uint8Array(5000).fill(7), new Uint8Array(0), noise(1), noise(1_500_000), Buffer.from('abc'.repeat(3000))]
}

test.each(['none', 'lz4'] as const)('every value comes back, compression %s', async (compression) => {
  const values = sampleValues(new SeededRandom(3))
  const { bytes, references } = write(values, compression)
  for (const [i, reference] of references.entries()) expect(Buffer.compare(valueIn(bytes, reference), values[i] as Uint8Array)).toBe(0)
  const { records, totals } = await walk(bytes)
  expect(records.map(({ offset, recordBytes, valueBytes, crc32c }) => ({ id: ID, offset, recordBytes, valueBytes, crc32c }))).toEqual(references)
  expect(totals.records).toBe(values.length)
  expect(totals.valueBytes).toBe(values.reduce((sum, { length }) => sum + length, 0))
  expect(bytes.length).toBe(BLOB_HEADER_BYTES + references.reduce((sum, { recordBytes }) => sum + recordBytes, 0) + BLOB_FOOTER_BYTES)
  const packed = references[1] as BlobReference
  if (compression === 'lz4') expect(packed.recordBytes).toBeLessThan(200)
  else expect(packed.recordBytes).toBeGreaterThan(5000)
})

test('a value above the limit is stored as it is', () => {
  const value = new Uint8Array(MOST_COMPRESSED_BYTES + 1)
  const { bytes, references } = write([value])
  expect(references[0]?.recordBytes).toBeGreaterThan(value.length)
  expect(valueIn(bytes, references[0] as BlobReference).length).toBe(value.length)
})

test('a record that is copied to another file keeps its lengths and its checksum', () => {
  const [value] = [Buffer.from('x'.repeat(4000))]
  const { bytes, references } = write([new Uint8Array(300), value])
  const from = references[1] as BlobReference
  const writer = new BlobFileWriter(blobIdOf(newBlobSeed(8 as Epoch, new SeededRandom(2)), 1))
  const to = writer.copy(from, bytes, from.offset, from.offset + from.recordBytes)
  expect(to).toEqual({ ...from, id: writer.id, offset: BLOB_HEADER_BYTES })
  expect(Buffer.from(valueIn(new Uint8Array(Buffer.concat(writer.finish().parts)), to)).equals(value)).toBe(true)
})

test('a reference survives its encoding, whatever its numbers', () => {
  const random = new SeededRandom(5)
  for (let i = 0; i < 200; i++) {
    const reference: BlobReference = {
      id: blobIdOf(newBlobSeed(random.below(999_999_999_999) as Epoch, random), random.below(2 ** 32)),
      offset: random.below(2 ** random.below(53)),
      recordBytes: random.below(2 ** 31),
      valueBytes: random.below(2 ** 31),
      crc32c: random.uint32(),
    }
    const writer = new ByteWriter()
    writer.u8(9)
    writeReference(writer, reference)
    const bytes = writer.finish()
    expect(readReference(bytes, 1, bytes.length)).toEqual(reference)
    expect(() => readReference(bytes, 1, bytes.length - 1)).toThrow(MoraineError)
  }
})

test('pitfall 16: a byte flipped anywhere in a blob file is an error or the right value', async () => {
  const random = new SeededRandom(11)
  const values = [random.fill(new Uint8Array(300)), Buffer.from('moraine '.repeat(60)), random.fill(new Uint8Array(40))]
  const { bytes, references } = write(values)
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice()
    flipped[at] = (flipped[at] as number) ^ (1 << random.below(8))
    for (const [i, reference] of references.entries()) {
      const hit = at >= reference.offset && at < reference.offset + reference.recordBytes
      if (hit) expect(() => valueIn(flipped, reference)).toThrow(/damaged/)
      else expect(Buffer.compare(valueIn(flipped, reference), values[i] as Uint8Array)).toBe(0)
    }
    const walked = await walk(flipped).catch((error: unknown) => error)
    expect(isMoraineError(walked), `byte ${at}`).toBe(true)
  }
})

test('pitfall 30: a forged length is refused before anything is decompressed', () => {
  const { bytes, references } = write([Buffer.from('a'.repeat(10_000))])
  const reference = references[0] as BlobReference
  // A reference that was forged together with the header still meets the checksum of the record.
  bytes.fill(0xff, reference.offset + 9, reference.offset + 13)
  expect(() => valueIn(bytes, { ...reference, valueBytes: 0xffffffff })).toThrow(/damaged/)
})

test('a record in the place of another is seen', () => {
  const [a, b] = [Buffer.alloc(500, 1), Buffer.alloc(500, 2)]
  const { bytes, references } = write([a, b], 'none')
  const [first, second] = references as [BlobReference, BlobReference]
  expect(() => valueIn(bytes, { ...first, offset: second.offset })).toThrow(/not the one/)
  expect(() => valueIn(bytes, { ...first, offset: first.offset + 1 })).toThrow(/not the one/)
  expect(() => valueIn(bytes, { ...second, offset: bytes.length - 5 })).toThrow(/ends within/)
})

test('a file that ends too early, or is no blob file, is seen by a walk', async () => {
  const { bytes } = write([Buffer.alloc(500, 1)])
  for (const length of [0, 20, BLOB_HEADER_BYTES + BLOB_FOOTER_BYTES, bytes.length - 1]) {
    await expect(walk(bytes.slice(0, length))).rejects.toMatchObject({ code: 'CORRUPTION' })
  }
})
