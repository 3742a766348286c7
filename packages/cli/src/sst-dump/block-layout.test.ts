// Invariant: the encoded entries of a block, its restart points and its trailer account for every byte of it.
import { utf8Encode } from '@moraine/base'
import { defaultSstWriterSettings, SstReader, SstWriter } from '@moraine/sstable'
import { expect, test } from 'vitest'
import { encodedEntries, entryOf, readStoredBlock, restartPoints } from './block-layout.ts'

test.each(['none', 'lz4'] as const)('compression %s', async (compression) => {
  const chunks: Uint8Array[] = []
  const settings = { ...defaultSstWriterSettings, compression, blockSizeBytes: 2000, restartInterval: 4 }
  const writer = new SstWriter(settings, (chunk) => chunks.push(chunk))
  for (let i = 0; i < 300; i++) {
    const key = utf8Encode(`shared/prefix/${String(i).padStart(4, '0')}`)
    const value = utf8Encode(`value of ${i} `.repeat(i % 7))
    writer.add(key, 0, key.length, i + 1, i % 5 === 0 ? 0 : 1, value, 0, value.length)
  }
  writer.finish()
  const bytes = Buffer.concat(chunks)
  const read = (offset: number, length: number): Promise<Uint8Array> => Promise.resolve(bytes.subarray(offset, offset + length))
  const reader = await SstReader.open({ sizeBytes: bytes.length, read }, 'x.sst')

  let next = 0
  for (let ordinal = 0; ordinal < reader.blockCount; ordinal++) {
    const stored = await readStoredBlock(reader, ordinal)
    expect(stored.compression).toBe(compression === 'none' ? 'none' : 'LZ4')
    if (compression === 'none') expect(stored.storedBytes).toBe(stored.uncompressedBytes + 5)
    const { block } = stored
    const entries = [...encodedEntries(block)]
    const restarts = restartPoints(block.valueBytes)
    expect(entries.length).toBe(block.entryCount)
    expect(entries.filter(({ restart }) => restart).map(({ offset }) => offset)).toEqual(restarts)
    expect(restarts.length).toBe(Math.ceil(entries.length / 4))
    const encoded = entries.reduce((sum, { encodedBytes }) => sum + encodedBytes, 0)
    expect(encoded + 4 * restarts.length + 4).toBe(stored.uncompressedBytes)
    for (const [i, entry] of entries.entries()) {
      const { key, value } = entryOf(block, i)
      expect(Buffer.from(key).toString()).toBe(`shared/prefix/${String(next++).padStart(4, '0')}`)
      expect(entry.sharedBytes + entry.storedKeyBytes).toBe(key.length + 8)
      expect(entry.valueBytes).toBe(value.length)
      if (entry.restart) expect(entry.sharedBytes).toBe(0)
    }
  }
  expect(next).toBe(300)
})
