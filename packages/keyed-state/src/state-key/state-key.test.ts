// Invariant: a range of key groups, all of a state in a group, all of (state, key) and all of a map are each one range of keys,
// and what stands in a key can be read back from it.
import { compareBytes, prefixSuccessor, SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import { encodeFloat64 } from '../codec/number-codecs.ts'
import { compareTimers, timeOf } from '../timer/group-timers.ts'
import {
  FIRST_STATE_ID,
  groupOf,
  groupPrefix,
  isGroupKey,
  listElementKey,
  mapEntryKey,
  metaKey,
  parseStateKey,
  parseTimerKey,
  stateIdAt,
  stateIdOf,
  stateKey,
  stateKeyPrefix,
  statePrefix,
  timerKey,
} from './state-key.ts'

const random = new SeededRandom(9)
/** Many zeros and 0xff, where escaping could go wrong. */
const someBytes = (): Uint8Array => Uint8Array.from({ length: random.below(5) }, () => random.pick([0, 0, 1, 0xfe, 0xff]))

test('keys sort by group, state, key, namespace, rest, and come back', () => {
  const rows = Array.from({ length: 2_000 }, () => {
    const parts = { group: random.below(4) * 100, stateId: random.pick([FIRST_STATE_ID, 0xffff_ffff]), key: someBytes(), namespace: someBytes(), rest: someBytes() }
    const bytes = mapEntryKey(stateKey(parts.group, parts.stateId, parts.key, parts.namespace), parts.rest)
    return { ...parts, bytes }
  })
  for (const { group, stateId, key, namespace, rest, bytes } of rows) {
    const parsed = parseStateKey(bytes)
    expect({ ...parsed, rest: bytes.slice(parsed.restAt) }).toEqual({ group, stateId, key, namespace, restAt: parsed.restAt, rest })
    expect([groupOf(bytes), stateIdAt(bytes), isGroupKey(bytes)]).toEqual([group, stateId, true])
    for (const prefix of [groupPrefix(group), statePrefix(group, stateId), stateKeyPrefix(group, stateId, key)]) {
      expect(compareBytes(prefix, bytes)).toBeLessThanOrEqual(0)
      expect(compareBytes(bytes, prefixSuccessor(prefix) as Uint8Array)).toBeLessThan(0)
    }
  }
  const byParts = rows.toSorted(
    (a, b) => a.group - b.group || a.stateId - b.stateId || compareBytes(a.key, b.key) || compareBytes(a.namespace, b.namespace) || compareBytes(a.rest, b.rest),
  )
  expect(rows.toSorted((a, b) => compareBytes(a.bytes, b.bytes)).map(({ bytes }) => bytes)).toEqual(byParts.map(({ bytes }) => bytes))
})

test('one key is never the beginning of another', () => {
  for (let i = 0; i < 2_000; i++) {
    const [a, b] = [someBytes(), someBytes()]
    if (compareBytes(a, b) === 0) continue
    const prefix = stateKeyPrefix(1, 20, a)
    expect(Buffer.from(stateKeyPrefix(1, 20, b)).subarray(0, prefix.length).equals(prefix)).toBe(false)
  }
})

test('elements of a list sort by number', () => {
  const prefix = stateKey(1, 20, someBytes(), someBytes())
  const numbers = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER]
  const keys = numbers.map((number) => listElementKey(prefix, number))
  expect(keys.toSorted(compareBytes)).toEqual(keys)
})

test('timers sort by time within a group, and are compared by time across groups', () => {
  const timers = Array.from({ length: 500 }, () => ({ group: random.below(3), time: (random.next() - 0.5) * 1e6 | 0, key: someBytes(), namespace: someBytes() }))
  const encoded = timers.map(({ group, time, key, namespace }) => timerKey(group, 0, encodeFloat64(time), key, namespace))
  for (const [i, bytes] of encoded.entries()) {
    const { key, namespace } = parseTimerKey(bytes)
    expect({ group: groupOf(bytes), time: timeOf(bytes), key, namespace }).toEqual(timers[i])
  }
  expect(encoded.toSorted(compareTimers).map(timeOf)).toEqual(timers.map(({ time }) => time).toSorted((a, b) => a - b))
  const inOne = encoded.filter((bytes) => groupOf(bytes) === 1).toSorted(compareBytes)
  expect(inOne.map(timeOf)).toEqual(inOne.map(timeOf).toSorted((a, b) => a - b))
})

test('what belongs to no group is behind all groups', () => {
  expect(compareBytes(groupPrefix(32_768), metaKey('a'))).toBeLessThan(0)
  expect(isGroupKey(metaKey('checkpoint'))).toBe(false)
})

test('ids of states stay what they are', () => {
  expect(['count', 'seen', 'orders'].map(stateIdOf)).toMatchInlineSnapshot(`
    [
      2710027767,
      3166357113,
      203017351,
    ]
  `)
})
