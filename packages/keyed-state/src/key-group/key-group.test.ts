// Invariant: a key is in the same group for ever, on every machine and in every version; targets share the groups without a gap.
import { utf8Encode } from '@moraine/base'
import { expect, test } from 'vitest'
import { int64 } from '../codec/number-codecs.ts'
import { checkKeyGroups, groupsOfTarget, keyGroupOf } from './key-group.ts'

// Murmur3 x86 32-bit with seed 0, from its published vectors and reference implementation, modulo the total.
const vectors: [string, Uint8Array, number][] = [
  ['nothing', Uint8Array.of(), 0],
  ['zero', Uint8Array.of(0, 0, 0, 0), 0x2362f9de],
  ['test', utf8Encode('test'), 0xba6bd213],
  ['hello', utf8Encode('hello'), 0x248bfa47],
  ['Hello, world!', utf8Encode('Hello, world!'), 0xc0363e43],
  ['the fox', utf8Encode('The quick brown fox jumps over the lazy dog'), 0x2e4ff723],
]

test.each(vectors)('%s', (_, key, hash) => {
  for (const total of [1, 2, 128, 1_000, 32_768]) expect(keyGroupOf(key, total)).toBe(hash % total)
})

test('keys as codecs encode them', () => {
  expect(['user-1', 'user-2', 'user-3', ''].map((key) => keyGroupOf(utf8Encode(key), 128))).toMatchInlineSnapshot(`
    [
      99,
      75,
      123,
      0,
    ]
  `)
  expect([0n, 1n, -1n, 2n ** 40n].map((key) => keyGroupOf(int64.encode(key), 128))).toMatchInlineSnapshot(`
    [
      34,
      43,
      6,
      110,
    ]
  `)
})

test('every group goes to one target, and no target gets none', () => {
  for (const total of [1, 2, 7, 128, 32_768]) {
    for (const count of [1, 2, 3, 5, 7, 100, 128].filter((n) => n <= total)) {
      let next = 0
      for (let i = 0; i < count; i++) {
        const range = groupsOfTarget(total, i, count)
        expect(range.first).toBe(next)
        expect(range.last).toBeGreaterThanOrEqual(range.first)
        checkKeyGroups(range)
        next = range.last + 1
      }
      expect(next).toBe(total)
    }
  }
})
