// Invariant: stored keys keep the order of keys within a keyspace, keep keyspaces apart, and give the keys back.
import { SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { checkKeyspaceName, isInKeyspace, keyspaceEnd, keyspaceOf, keyspacePrefix, prefixLength, storedKey, userKey } from './keyspace.ts'

const NAMES = ['', 'a', 'A', 'a-', 'a.b', 'a_', 'aa', 'orders', 'x'.repeat(64), '0', '-']

function drawKey(random: SeededRandom): Uint8Array {
  const start = random.pick([[], [0xff], [0xff, 0], [0xff, 1], [0xff, 1, 97, 0], [0xff, 0xff], [0xfe]])
  return Uint8Array.from([...start, ...Array.from({ length: random.below(6) }, () => random.pick([0, 1, 2, 97, 254, 255]))])
}

describe('stored keys', () => {
  test('keep order, belong to their keyspace only, and give the key back', () => {
    const random = new SeededRandom(1)
    for (let round = 0; round < 4000; round++) {
      const [one, other] = [random.pick(NAMES), random.pick(NAMES)]
      const [a, b] = [drawKey(random), drawKey(random)]
      const prefix = keyspacePrefix(one)
      const [storedA, storedB] = [storedKey(prefix, a), storedKey(prefix, b)]
      expect(Math.sign(Buffer.compare(storedA, storedB))).toBe(Math.sign(Buffer.compare(a, b)))
      expect(Buffer.from(userKey(prefix, storedA))).toEqual(Buffer.from(a))
      expect(keyspaceOf(storedA)).toBe(one)
      expect(prefixLength(storedA, 0, storedA.length)).toBe(prefix.length)
      expect(Buffer.compare(storedA, prefix)).toBeGreaterThanOrEqual(0)
      expect(Buffer.compare(storedA, keyspaceEnd(prefix))).toBeLessThan(0)
      const stranger = keyspacePrefix(other)
      expect(isInKeyspace(stranger, storedA, 0, storedA.length)).toBe(one === other)
      const inside = Buffer.compare(storedA, stranger) >= 0 && Buffer.compare(storedA, keyspaceEnd(stranger)) < 0
      expect(inside).toBe(one === other)
    }
  })

  test('the longest keys fit what a memtable takes', () => {
    const longest = new Uint8Array(65_535).fill(0xff)
    for (const name of NAMES) {
      const prefix = keyspacePrefix(name)
      const stored = storedKey(prefix, longest)
      expect(stored.length).toBeLessThanOrEqual(65_535 + 67)
      expect(Buffer.from(userKey(prefix, stored)).equals(longest)).toBe(true)
    }
  })

  test.each(['', 'x'.repeat(65), 'a b', 'ä', 'a/b', 7, null])('a keyspace cannot be called %j', (name) => {
    expect(() => checkKeyspaceName(name)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
  })
})
