// Invariant: own writes laid over a snapshot give what applying them to a copy of the snapshot would give, range deletes
// included, and a scan sees those made before it and no later ones.
import { SeededRandom, utf8Decode, utf8Encode } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { visitOperations } from '../batch/batch-codec.ts'
import { type KeyText, keyText } from '../key/key-text.ts'
import { holdsText, type TextRange } from '../key/text-range.ts'
import { OwnWrites } from './own-writes.ts'

const text = (name: string): KeyText => keyText(utf8Encode(name))
const shown = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : utf8Decode(value))

describe('own writes', () => {
  for (let seed = 1; seed <= 100; seed++) {
    test(`over a snapshot, seed ${seed}`, () => {
      const random = new SeededRandom(seed)
      const keys = Array.from({ length: 20 }, (_, i) => text(`key-${String(i).padStart(2, '0')}`))
      const snapshot = new Map(keys.filter(() => random.chance(0.5)).map((key) => [key, `old ${key}`]))
      const wanted = new Map<KeyText, string>(snapshot)
      const own = new OwnWrites()
      for (let step = 0; step < 120; step++) {
        const key = random.pick(keys)
        const range: TextRange = { gte: key, lt: random.chance(0.2) ? text('l') : random.pick(keys) }
        const dice = random.next()
        if (dice < 0.4) {
          own.put(key, utf8Encode(`new ${step}`))
          wanted.set(key, `new ${step}`)
        } else if (dice < 0.6) {
          own.delete(key)
          wanted.delete(key)
        } else if (dice < 0.65) {
          own.deleteRange(range)
          for (const each of wanted.keys()) if (holdsText(range, each)) wanted.delete(each)
        } else if (dice < 0.85) {
          const found = own.find(key)
          expect(found === undefined ? snapshot.get(key) : shown(found.value)).toBe(wanted.get(key))
        } else {
          const { entries, deleted } = own.entriesIn(range)
          const laid = new Map([...snapshot].filter(([each]) => holdsText(range, each) && !deleted.some((one) => holdsText(one, each))))
          for (const [each, value] of entries) {
            if (value === undefined) laid.delete(each)
            else laid.set(each, utf8Decode(value))
          }
          expect(Object.fromEntries(laid)).toEqual(Object.fromEntries([...wanted].filter(([each]) => holdsText(range, each))))
          expect(entries.map(([each]) => each)).toEqual(entries.map(([each]) => each).sort())
        }
      }
    })
  }

  test('what a scan was given stays as it was', () => {
    const own = new OwnWrites()
    own.put(text('a'), utf8Encode('1'))
    const { entries } = own.entriesIn({ gte: text(''), lt: undefined })
    own.put(text('a'), utf8Encode('2'))
    own.put(text('b'), utf8Encode('2'))
    expect(entries.map(([key, value]) => [key, shown(value)])).toEqual([['a', '1']])
  })

  test('the batch deletes the ranges first, then holds the last write of each key once', () => {
    const own = new OwnWrites()
    own.put(text('covered'), utf8Encode('x'))
    own.deleteRange({ gte: text('c'), lt: text('d') })
    for (let i = 0; i < 100; i++) own.put(text('counter'), utf8Encode(String(i)))
    own.put(text('gone'), utf8Encode('x'))
    own.delete(text('gone'))
    const { operations, count, hasTtl } = own.toOperations()
    const found: unknown[] = []
    visitOperations(operations, 'the batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      found.push([kind, utf8Decode(bytes.subarray(keyStart, keyEnd)), utf8Decode(bytes.subarray(valueStart, valueEnd))])
    })
    expect(found).toEqual([
      [EntryKind.deleteRange, 'c', 'd'],
      [EntryKind.put, 'counter', '99'],
      [EntryKind.delete, 'gone', ''],
    ])
    expect([count, hasTtl]).toEqual([3, false])
  })
})
