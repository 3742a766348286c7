// Invariant: reading ahead changes how bytes are fetched, never which bytes a reader gets.
import { SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import { ReadAhead } from './read-ahead.ts'

function source(size: number): { bytes: Uint8Array; reads: [number, number][]; access: ReadAhead; seen: () => number } {
  const bytes = new SeededRandom(3).fill(new Uint8Array(size))
  const reads: [number, number][] = []
  let seen = 0
  const read = (offset: number, length: number): Promise<Uint8Array> => {
    reads.push([offset, length])
    return Promise.resolve(bytes.slice(offset, offset + length))
  }
  return { bytes, reads, access: new ReadAhead({ sizeBytes: size, read }, (length) => (seen += length)), seen: () => seen }
}

test('a scan of many blocks is a few growing requests, and little is fetched twice', async () => {
  const { bytes, reads, access, seen } = source(3_000_000)
  for (let at = 0; at < bytes.length; at += 10_000) {
    expect(Buffer.compare(await access.read(at, 10_000), bytes.subarray(at, at + 10_000))).toBe(0)
  }
  expect(reads.length).toBeLessThan(8)
  // A block that lies across the end of a window is fetched with the next one.
  const fetched = reads.reduce((sum, [, length]) => sum + length, 0)
  expect(fetched).toBeGreaterThanOrEqual(bytes.length)
  expect(fetched).toBeLessThanOrEqual(bytes.length + reads.length * 10_000)
  expect(seen()).toBe(bytes.length)
})

test('reads here and there fetch exactly what they ask for', async () => {
  const { bytes, reads, access } = source(100_000)
  const places: [number, number][] = [[90_000, 10_000], [500, 700], [40_000, 1], [100, 50]]
  for (const [at, length] of places) expect(await access.read(at, length)).toEqual(bytes.slice(at, at + length))
  expect(reads).toEqual(places)
})

test('a file that is shorter than it was gives what is left, for the reader to judge', async () => {
  const { access } = source(1000)
  expect((await access.read(900, 200)).length).toBe(100)
})
