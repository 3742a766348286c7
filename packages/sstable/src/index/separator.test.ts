// Invariant: a separator s satisfies last <= s < next, and is never longer than last.
import { compareBytes, SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import { shortestSeparator } from './separator.ts'

function separate(last: Uint8Array, next: Uint8Array): Uint8Array {
  const padded = new Uint8Array([7, ...next, 7])
  const { length, finalByte } = shortestSeparator(last, last.length, padded, 1, 1 + next.length)
  const separator = last.slice(0, length)
  if (finalByte !== undefined) separator[length - 1] = finalByte
  return separator
}

test('separators lie between any two keys', () => {
  const random = new SeededRandom(3)
  const alphabet = [0, 1, 2, 0x61, 0x62, 0x63, 0xfe, 0xff]
  const key = (): Uint8Array => new Uint8Array(random.below(7)).map(() => random.pick(alphabet))
  let shortened = 0
  for (let i = 0; i < 3000; i++) {
    const [a, b] = [key(), key()]
    const order = compareBytes(a, b)
    if (order === 0) continue
    const [last, next] = order < 0 ? [a, b] : [b, a]
    const separator = separate(last, next)
    expect(compareBytes(last, separator)).toBeLessThanOrEqual(0)
    expect(compareBytes(separator, next)).toBeLessThan(0)
    expect(separator.length).toBeLessThanOrEqual(last.length)
    if (separator.length < last.length) shortened++
  }
  expect(shortened).toBeGreaterThan(500)
})

test.each([
  ['abcdef', 'abzzzz', 'abd'],
  ['abc', 'abcd', 'abc'],
  ['abcxyz', 'abdxyz', 'abd'],
  ['abcxyz', 'abd', 'abcy'],
  ['a', 'b', 'a'],
])('%s | %s gives %s', (last, next, separator) => {
  expect(Buffer.from(separate(Buffer.from(last), Buffer.from(next))).toString()).toBe(separator)
})
