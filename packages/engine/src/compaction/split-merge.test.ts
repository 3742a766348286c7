/** Invariant: the ranges of a split cover every key once, in order, and begin where tables do. */
import { compareBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { TableFile } from '../manifest/table-file.ts'
import { splitMerge } from './split-merge.ts'

const key = (n: number): Uint8Array => new Uint8Array([n >> 8, n & 255])

function table(from: number, to: number, rawBytes = 100): TableFile {
  return { smallestKey: key(from), largestKey: key(to), rawBytes } as TableFile
}

describe('splitMerge', () => {
  test('gives one range when the tables are small or one is asked for', () => {
    const files = [table(0, 9), table(10, 19)]
    expect(splitMerge(files, 8, 1000)).toEqual([{ gte: undefined, lt: undefined }])
    expect(splitMerge(files, 1, 1)).toEqual([{ gte: undefined, lt: undefined }])
    expect(splitMerge([], 8, 1)).toEqual([{ gte: undefined, lt: undefined }])
  })

  test('cuts a run into equal shares', () => {
    const files = Array.from({ length: 12 }, (_, i) => table(i * 10, i * 10 + 9))
    expect(splitMerge(files, 4, 1).map(({ gte }) => gte)).toEqual([undefined, key(30), key(60), key(90)])
  })

  test('cannot cut where no table begins', () => {
    const files = Array.from({ length: 6 }, () => table(0, 1000))
    expect(splitMerge(files, 4, 1)).toHaveLength(1)
  })

  test('covers all keys without gap or overlap, whatever the tables', () => {
    const random = new SeededRandom(4)
    for (let round = 0; round < 300; round++) {
      const files = Array.from({ length: random.below(20) }, () => {
        const from = random.below(500)
        return table(from, from + random.below(100), 1 + random.below(300))
      })
      const most = 1 + random.below(9)
      const least = 1 + random.below(500)
      const ranges = splitMerge(files, most, least)
      expect(ranges.length).toBeLessThanOrEqual(most)
      expect([ranges[0]?.gte, ranges.at(-1)?.lt]).toEqual([undefined, undefined])
      for (const [i, { lt }] of ranges.slice(0, -1).entries()) {
        expect(ranges[i + 1]?.gte).toBe(lt)
        expect(files.some(({ smallestKey }) => smallestKey === lt)).toBe(true)
        const before = ranges[i]?.gte
        if (before !== undefined) expect(compareBytes(before, lt as Uint8Array)).toBeLessThan(0)
      }
    }
  })
})
