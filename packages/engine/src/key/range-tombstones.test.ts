// Invariant: the index of range tombstones answers as a list of them would, and its memory is counted.
import { SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { type RangeTombstone, RangeTombstones } from './range-tombstones.ts'

const key = (n: number): Uint8Array => Uint8Array.of(n >> 4, n & 15)

describe('RangeTombstones', () => {
  test.each([1, 2, 3, 4, 5])('answers as a list does, seed %i', (seed) => {
    const random = new SeededRandom(seed)
    const all = new RangeTombstones()
    const list: RangeTombstone[] = []
    for (let seq = 1; seq < 60; seq++) {
      const [a, b] = [random.below(100), random.below(100)]
      // Tables give them in any order of sequence numbers.
      const drawn = random.chance(0.5) ? seq : 1 + random.below(60)
      all.add(key(a), key(b), drawn)
      if (a < b) list.push({ start: key(a), end: key(b), seq: drawn })
      for (let n = 0; n < 100; n += 1 + random.below(8)) {
        const most = random.below(64)
        const covering = list.filter(({ start, end }) => Buffer.compare(start, key(n)) <= 0 && Buffer.compare(key(n), end) < 0)
        const upTo = covering.map((one) => one.seq).filter((one) => one <= most)
        const above = covering.map((one) => one.seq).filter((one) => one > most)
        expect(all.coveringSeq(key(n), 0, 2, most)).toBe(Math.max(0, ...upTo))
        expect(all.nextSeqAbove(key(n), 0, 2, most)).toBe(above.length === 0 ? 0 : Math.min(...above))
      }
    }
    expect(all.count).toBe(list.length)
    // What it lists says the same as what it was given.
    const again = RangeTombstones.of(all.list())
    for (let n = 0; n < 100; n++) {
      for (const most of [5, 30, 99]) expect(again.coveringSeq(key(n), 0, 2, most)).toBe(all.coveringSeq(key(n), 0, 2, most))
    }
    for (const [i, { start, end, seqs }] of [...all.fragments()].entries()) {
      expect(Buffer.compare(start, end)).toBeLessThan(0)
      expect([...seqs]).toEqual([...new Set(seqs)].sort((a, b) => a - b))
      const next = [...all.fragments()][i + 1]
      if (next !== undefined) expect(Buffer.compare(end, next.start)).toBeLessThanOrEqual(0)
    }
  })

  test('ranges within ranges cost the square, and are counted so that memtables are flushed in time', () => {
    const nested = new RangeTombstones()
    for (let seq = 1; seq <= 1000; seq++) nested.add(key(0), Uint8Array.of(1, seq >> 8, seq & 255), seq)
    expect(nested.memoryBytes).toBeGreaterThan(1000 * 1000 * 4)
  })
})
