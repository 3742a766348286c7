/**
 * Invariant: the hash index finds exactly the records that were inserted, or says UNKNOWN; keys chosen so that their
 * hashes collide make a memtable slower, never wrong.
 */
import { compareBytes, murmur3, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { Arena } from './arena.ts'
import { HashIndex, UNKNOWN } from './hash-index.ts'
import { Memtable } from './memtable.ts'
import { RecordStore } from './record-store.ts'

/** The inverse of an odd factor modulo 2^32 (Newton's iteration doubles the right bits). */
function inverse(factor: number): number {
  let x = factor
  for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(factor, x))
  return x
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

/** Keys of eight bytes with one and the same hash: any first half, and the second half that cancels it. */
function collidingKey(first: number): Uint8Array {
  const mix = (word: number): number => Math.imul(rotateLeft(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593)
  const state = (Math.imul(rotateLeft(mix(first), 13), 5) + 0xe6546b64) | 0
  // The state after the second half is a bijection of `state ^ mix(second)`, which is made the same for all keys.
  const mixed = state ^ 0x1234567
  const second = Math.imul(rotateLeft(Math.imul(mixed, inverse(0x1b873593)), 17), inverse(0xcc9e2d51))
  const key = new Uint8Array(8)
  const view = new DataView(key.buffer)
  view.setInt32(0, first, true)
  view.setInt32(4, second, true)
  return key
}

describe('colliding hashes', () => {
  const keys = Array.from({ length: 1_000 }, (_, i) => collidingKey(i * 2_654_435 + 1))

  test('are what the keys of this test have', () => {
    expect(new Set(keys.map((key) => murmur3(key))).size).toBe(1)
  })

  test('make the index say UNKNOWN, and nothing else wrong', () => {
    const options = { shared: false, firstChunkBytes: 65_536 }
    const records = new RecordStore(new Arena(options), false)
    const index = new HashIndex(new Arena(options), records)
    const hash = murmur3(keys[0] as Uint8Array) | 0
    const found = keys.map((key, i) => {
      const record = records.createKey(i + 1, 1, key, 0, 8, key, 0, 0)
      index.makeRoom(hash)
      index.insert(hash, record)
      const answer = index.find(hash, key, 0, 8)
      return answer === record ? 'found' : answer
    })
    expect(new Set(found)).toEqual(new Set(['found', UNKNOWN]))
    expect(found.lastIndexOf('found')).toBeLessThan(found.indexOf(UNKNOWN))
    // The other pages are shallow below a deep directory now; they still split and answer for certain.
    const random = new SeededRandom(29)
    const others = Array.from({ length: 3_000 }, () => random.fill(new Uint8Array(6)))
    const inserted = others.map((key) => {
      const record = records.createKey(1, 1, key, 0, 6, key, 0, 0)
      index.makeRoom(murmur3(key) | 0)
      index.insert(murmur3(key) | 0, record)
      return record
    })
    expect(others.map((key) => index.find(murmur3(key) | 0, key, 0, 6))).toEqual(inserted)
    expect(index.find(~hash, keys[0] as Uint8Array, 0, 8)).toBe(0)
  })

  test('leave a memtable whole: hits, misses, versions, order', () => {
    const memtable = new Memtable()
    const inserted = keys.slice(0, 900)
    const value = new Uint8Array(4)
    let seq = 0
    for (let round = 0; round < 2; round++) {
      for (const key of inserted) memtable.insert(++seq, 1, key, 0, 8, value, 0, 4)
    }
    for (const [i, key] of inserted.entries()) {
      expect(memtable.seqOf(memtable.find(key, 0, 8, seq))).toBe(i + 901)
      expect(memtable.seqOf(memtable.find(key, 0, 8, 900))).toBe(i + 1)
      expect(memtable.find(key, 0, 8, i)).toBe(-1)
    }
    for (const key of keys.slice(900)) expect(memtable.find(key, 0, 8, seq)).toBe(-1)
    const it = memtable.iterator()
    const sorted = inserted.toSorted(compareBytes)
    it.seekToFirst()
    for (const key of sorted) {
      for (let version = 0; version < 2; version++) {
        expect(it.keyBytes.slice(it.keyStart, it.keyEnd)).toEqual(key)
        it.next()
      }
    }
    expect(it.valid).toBe(false)
  })
})

describe('many keys', () => {
  test('are all found while pages split and the directory doubles, and no others are', () => {
    const options = { shared: false, firstChunkBytes: 65_536 }
    const records = new RecordStore(new Arena(options), false)
    const index = new HashIndex(new Arena(options), records)
    const random = new SeededRandom(23)
    const key = new Uint8Array(12)
    const inserted: { hash: number; key: Uint8Array; record: number }[] = []
    for (let i = 0; i < 40_000; i++) {
      random.fill(key)
      const hash = murmur3(key) | 0
      if (index.find(hash, key, 0, 12) !== 0) expect.unreachable('a key that was never inserted was found')
      const record = records.createKey(i + 1, 1, key, 0, 12, key, 0, 0)
      index.makeRoom(hash)
      index.insert(hash, record)
      inserted.push({ hash, key: key.slice(), record })
      const old = random.pick(inserted)
      if (index.find(old.hash, old.key, 0, 12) !== old.record) expect.unreachable('an inserted key was lost')
    }
    for (const { hash, key: own, record } of inserted) {
      if (index.find(hash, own, 0, 12) !== record) expect.unreachable('an inserted key was lost')
    }
    expect(index.directory.length).toBeGreaterThanOrEqual(128)
  })
})
