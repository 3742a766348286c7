// Invariant: what enters a cache holds on to its own bytes and to nothing else, however large the download was that it came
// out of.
import { expect, test } from 'vitest'
import { decodeBlock } from './decode-block.ts'
import { parseSstTail } from '../sst-tail.ts'
import { SstWriter } from '../sst-writer.ts'
import { defaultSstWriterSettings } from '../sst-writer-settings.ts'

for (const compression of ['none', 'lz4'] as const) {
  test(`pitfall 23: a decoded block does not keep the download alive (${compression})`, () => {
    const parts: Uint8Array[] = []
    const writer = new SstWriter({ ...defaultSstWriterSettings, compression, blockSizeBytes: 4096 }, (part) => parts.push(part))
    const value = new Uint8Array(100)
    for (let i = 0; i < 5_000; i++) {
      const key = Buffer.from(String(i).padStart(8, '0'))
      value.fill(i & 0xff)
      writer.add(key, 0, key.length, i + 1, 1, value, 0, value.length)
    }
    const summary = writer.finish()
    const download = new Uint8Array(Buffer.concat(parts))
    const source = { name: 'a table', sizeBytes: summary.sizeBytes, tailOffset: summary.tailOffset }
    const metadata = parseSstTail(download.slice(summary.tailOffset), source)
    const { index } = metadata
    expect(index.blockCount).toBeGreaterThan(50)
    const start = index.blockOffset(7)
    const block = decodeBlock(download.subarray(start, start + index.blockLength(7)), metadata, 7, 'a table')
    for (const bytes of [block.keyBytes, block.valueBytes]) {
      expect(bytes.buffer).not.toBe(download.buffer)
      expect(bytes.buffer.byteLength).toBeLessThanOrEqual(block.memoryBytes)
    }
    expect(block.memoryBytes).toBeLessThan(16 * 1024)
    // Nor can a change of the download reach it.
    const before = block.valueBytes.slice()
    download.fill(0)
    expect(block.valueBytes).toEqual(before)
  })
}
