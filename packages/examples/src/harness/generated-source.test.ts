// Invariant: reading from an offset gives what reading from the start gives from there on, in batches that end at the same
// places.
import { expect, test } from 'vitest'
import { GeneratedSource } from './generated-source.ts'

const source = (records: number): GeneratedSource<number> => new GeneratedSource({ records, partitions: 3, batchRecords: 4, generate: (n) => n })

test('partitions share the records', () => {
  const all = [0, 1, 2].map((partition) => [...source(31).read(partition, 0)].flat())
  expect(all.map((part) => part.length)).toEqual([11, 10, 10])
  expect(all.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 31 }, (_, i) => i))
  expect(all[1]).toEqual([1, 4, 7, 10, 13, 16, 19, 22, 25, 28])
})

test('from every offset', () => {
  const whole = [...source(31).read(0, 0)].flat()
  for (let offset = 0; offset <= whole.length; offset++) {
    const batches = [...source(31).read(0, offset)]
    expect(batches.flat()).toEqual(whole.slice(offset))
    let end = offset
    for (const batch of batches.slice(0, -1)) expect((end += batch.length) % 4).toBe(0)
  }
})

test('fewer records than partitions', () => {
  expect([0, 1, 2].map((partition) => [...source(1).read(partition, 0)])).toEqual([[[0]], [], []])
})

test.each([
  { records: -1, partitions: 1, batchRecords: 1 },
  { records: 1, partitions: 0, batchRecords: 1 },
  { records: 1, partitions: 1, batchRecords: 1.5 },
])('refuses %j', (counts) => {
  expect(() => new GeneratedSource({ ...counts, generate: (n: number) => n })).toThrow(/whole numbers/)
})
