// Invariant: the encoded entries of a block, its restart points and its trailer account for every byte of it.
import { utf8Encode } from '@moraine/base'
import { defaultSstWriterSettings, SstReader, SstWriter } from '@moraine/sstable'
import { expect, test } from 'vitest'
import { encodedEntries, readRangeTombstonesBlock, readStoredBlock, restartPoints } from './block-layout.ts'

test.each(['none', 'lz4'] as const)('compression %s', async (compression) => {
  const chunks: Uint8Array[] = []
  const settings = { ...defaultSstWriterSettings, compression, blockSizeBytes: 2000, restartInterval: 4 }
  const writer = new SstWriter(settings, (chunk) => chunks.push(chunk))
  for (let i = 0; i < 300; i++) {
    const key = utf8Encode(`shared/prefix/${String(i).padStart(4, '0')}`)
    const value = utf8Encode(`value of ${i} `.repeat(i % 7))
    writer.add(key, 0, key.length, i + 1, i % 5 === 0 ? 0 : 1, value, 0, value.length)
  }
  for (let i = 0; i < 9; i++) writer.addRangeTombstone(utf8Encode('shared/a'), utf8Encode(`shared/b${i}`), i)
  writer.finish()
  const bytes = Buffer.concat(chunks)
  const read = (offset: number, length: number): Promise<Uint8Array> => Promise.resolve(bytes.subarray(offset, offset + length))
  const reader = await SstReader.open({ sizeBytes: bytes.length, read }, 'x.sst')

  let next = 0
  for (let ordinal = 0; ordinal < reader.blockCount; ordinal++) {
    const stored = await readStoredBlock(reader, ordinal)
    expect(stored.compression).toBe(compression === 'none' ? 'none' : 'LZ4')
    if (compression === 'none') expect(stored.storedBytes).toBe(stored.content.length + 5)
    const entries = [...encodedEntries(stored)]
    const restarts = restartPoints(stored.content)
    expect(entries.length).toBe(stored.entryCount)
    expect(entries.filter(({ restart }) => restart).map(({ offset }) => offset)).toEqual(restarts)
    expect(restarts.length).toBe(Math.ceil(entries.length / 4))
    const encoded = entries.reduce((sum, { encodedBytes }) => sum + encodedBytes, 0)
    expect(encoded + 4 * restarts.length + 4).toBe(stored.content.length)
    for (const [i, entry] of entries.entries()) {
      const { key, value } = stored.entry(i)
      expect(Buffer.from(key).toString()).toBe(`shared/prefix/${String(next++).padStart(4, '0')}`)
      expect(entry.sharedBytes + entry.storedKeyBytes).toBe(key.length + 8)
      expect(entry.valueBytes).toBe(value.length)
      if (entry.restart) expect(entry.sharedBytes).toBe(0)
    }
  }
  expect(next).toBe(300)

  const ranges = await readRangeTombstonesBlock(reader)
  if (ranges === undefined) throw new Error('the block of range tombstones is missing')
  const entries = [...encodedEntries(ranges)]
  expect(entries.map(({ restart, sharedBytes }) => [restart, sharedBytes])).toEqual(Array.from({ length: 9 }, () => [true, 0]))
  const encoded = entries.reduce((sum, { encodedBytes }) => sum + encodedBytes, 0)
  expect(encoded + 4 * restartPoints(ranges.content).length + 4).toBe(ranges.content.length)
  expect(ranges).toMatchObject({ storedBytes: ranges.content.length + 5, compression: 'none', entryCount: 9 })
})
