// Invariant: merged ranges hold exactly the keys of the ranges they were made of, and their searches find what a look at each
// of them finds.
import { SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { keyspaceEnd, keyspacePrefix, storedKey } from './keyspace.ts'
import { type KeyText, keyOfText, keyText, textAfter } from './key-text.ts'
import { holdsText, mergeRanges, printableRange, rangeHolding, rangeMeeting, type TextRange, textRange } from './text-range.ts'

const text = (name: string): KeyText => name as KeyText

function randomRange(random: SeededRandom): TextRange {
  const bound = (): KeyText => text('abcdefgh'[random.below(8)] as string)
  return { gte: random.chance(0.1) ? text('') : bound(), lt: random.chance(0.1) ? undefined : bound() }
}

const KEYS = ['', 'a', 'a\0', 'b', 'bb', 'c', 'd', 'dz', 'e', 'f', 'g', 'h', 'hh', 'i'].map(text)

describe('merged ranges', () => {
  for (let seed = 1; seed <= 200; seed++) {
    test(`seed ${seed}`, () => {
      const random = new SeededRandom(seed)
      const ranges = Array.from({ length: random.below(6) }, () => randomRange(random))
      const merged = mergeRanges(ranges)
      for (const key of KEYS) {
        const held = ranges.some((range) => holdsText(range, key))
        expect(rangeHolding(merged, key) !== undefined, `${JSON.stringify(ranges)} at ${key}`).toBe(held)
      }
      for (const [i, range] of merged.entries()) {
        const next = merged[i + 1]
        if (next !== undefined) expect(range.lt !== undefined && range.lt < next.gte).toBe(true)
      }
      const other = randomRange(random)
      // Every bound is a letter, so a common key exists exactly when one of these is common.
      const common = KEYS.some((key) => holdsText(other, key) && ranges.some((range) => holdsText(range, key)))
      expect(rangeMeeting(merged, other) !== undefined, `${JSON.stringify(ranges)} and ${JSON.stringify(other)}`).toBe(common)
    })
  }
})

test('keys and their texts compare alike, and give each other back', () => {
  const random = new SeededRandom(7)
  const keys = Array.from({ length: 300 }, () => random.fill(new Uint8Array(random.below(4))))
  const byBytes = keys.toSorted((a, b) => Buffer.compare(a, b))
  const byText = keys.map((key) => keyText(key)).sort()
  expect(byText.map((key) => keyOfText(key))).toEqual(byBytes)
  expect(keyOfText(textAfter(keyText(new Uint8Array([255]))))).toEqual(new Uint8Array([255, 0]))
})

test('a range can be read by people', () => {
  expect(printableRange(textRange({}))).toBe('from the first key on')
  expect(printableRange(textRange({ gte: new Uint8Array([97, 0]), lt: new Uint8Array([98]) }))).toBe("from 'a\\x00' to before 'b'")
  const prefix = keyspacePrefix('orders')
  expect(printableRange(textRange({ gte: prefix, lt: keyspaceEnd(prefix) }))).toBe('from the first key on')
  const [gte, lt] = [storedKey(prefix, new Uint8Array([97])), storedKey(prefix, new Uint8Array([98]))]
  expect(printableRange(textRange({ gte, lt }))).toBe("from 'a' to before 'b'")
})
