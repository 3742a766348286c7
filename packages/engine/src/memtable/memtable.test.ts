/**
 * Invariant: a memtable equals a sorted array of its entries, key ascending then sequence descending, for point reads
 * at every snapshot and for every movement of an iterator, whatever the keys look like and whenever inserts happen.
 */
import { compareBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { Memtable } from './memtable.ts'

interface Entry {
  readonly key: Uint8Array
  readonly seq: number
  readonly kind: number
  readonly value: Uint8Array
}

/** The obvious implementation, kept sorted by binary insertion. */
class Model {
  readonly entries: Entry[] = []

  /** Index of the first entry at or after (key, seq). */
  lowerBound(key: Uint8Array, seq: number): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const entry = this.entries[middle] as Entry
      if ((compareBytes(entry.key, key) || seq - entry.seq) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  insert(entry: Entry): void {
    this.entries.splice(this.lowerBound(entry.key, entry.seq), 0, entry)
  }

  find(key: Uint8Array, maxSeq: number): Entry | undefined {
    const entry = this.entries[this.lowerBound(key, maxSeq)]
    return entry !== undefined && compareBytes(entry.key, key) === 0 ? entry : undefined
  }
}

/** Cheap enough for every entry; a failed comparison is then described by expect. */
function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (compareBytes(actual, expected) !== 0) expect([...actual]).toEqual([...expected])
}

function expectAt(it: EntryIterator, expected: Entry | undefined): void {
  if (it.valid !== (expected !== undefined)) expect(it.valid).toBe(expected !== undefined)
  if (expected === undefined) return
  if (it.seq !== expected.seq) expect(it.seq).toBe(expected.seq)
  if (it.kind !== expected.kind) expect(it.kind).toBe(expected.kind)
  expectSameBytes(it.keyBytes.subarray(it.keyStart, it.keyEnd), expected.key)
  expectSameBytes(it.valueBytes.subarray(it.valueStart, it.valueEnd), expected.value)
}

type KeyShape = (random: SeededRandom) => Uint8Array

function fromAlphabet(random: SeededRandom, length: number, alphabet: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, () => first + random.below(alphabet))
}

const longPrefix = new Uint8Array(3_000).fill(0xab)
const hugePrefix = new SeededRandom(5).fill(new Uint8Array(65_534))

const shapes: Record<string, KeyShape> = {
  'random 20 bytes': (random) => random.fill(new Uint8Array(20)),
  'one or two bytes, wide nodes': (random) => fromAlphabet(random, 1 + random.below(2), 256),
  'short alphabets, prefixes of each other, empty key': (random) =>
    fromAlphabet(random, random.below(8), random.pick([1, 2, 3, 4])),
  'edge bytes 0x00 and 0xff': (random) =>
    Uint8Array.from({ length: random.below(6) }, () => random.pick([0, 0, 1, 0x0f, 0x10, 0xf0, 0xff])),
  'digits after a shared prefix': (random) =>
    new TextEncoder().encode(`user:${String(random.below(5_000)).padStart(15, '0')}`),
  'growing alphabets': (random) => fromAlphabet(random, 3, random.pick([2, 5, 17, 49, 256])),
  'long shared prefixes': (random) => {
    const key = longPrefix.slice(0, random.below(longPrefix.length))
    if (key.length > 0 && random.chance(0.7)) key[random.below(key.length)] = random.below(256)
    return key
  },
  '64 KiB keys': (random) => {
    const key = new Uint8Array(random.pick([65_535, 65_534, 65_535, 40_000]))
    key.set(hugePrefix.subarray(0, key.length))
    key[random.pick([0, key.length - 1, random.below(key.length)])] = random.below(256)
    return key
  },
}

function randomValue(random: SeededRandom): Uint8Array {
  const length = random.chance(0.01) ? 65_530 + random.below(20) : random.pick([0, 1, 2, 3, 5, 100, 300])
  const value = new Uint8Array(length)
  // The first and last bytes differ from entry to entry; filling all of a large value would only be slow.
  for (let i = 0; i < Math.min(length, 8); i++) value[i] = value[length - 1 - i] = random.below(256)
  return value
}

/** Drives a memtable and its model together; keys and values are passed inside larger arrays, at an offset. */
class Pair {
  readonly memtable: Memtable
  readonly model = new Model()
  readonly random: SeededRandom
  readonly shape: KeyShape
  seq = 0
  rawBytes = 0

  constructor(memtable: Memtable, random: SeededRandom, shape: KeyShape, firstSeq = 0) {
    this.memtable = memtable
    this.random = random
    this.shape = shape
    this.seq = firstSeq
  }

  key(): Uint8Array {
    const { entries } = this.model
    return entries.length > 0 && this.random.chance(0.3) ? this.random.pick(entries).key : this.shape(this.random)
  }

  insert(key: Uint8Array = this.key()): Entry {
    const value = randomValue(this.random)
    this.seq += this.random.chance(0.1) ? 1 + this.random.below(1_000) : 1
    const entry = { key, seq: this.seq, kind: this.random.pick([0, 1, 2, 0xf]), value }
    const before = this.random.below(5)
    const padded = new Uint8Array(before + key.length + 3)
    padded.set(key, before)
    const paddedValue = new Uint8Array(before + value.length + 3)
    paddedValue.set(value, before)
    const { memtable } = this
    const keyEnd = before + key.length
    memtable.insert(entry.seq, entry.kind, padded, before, keyEnd, paddedValue, before, before + value.length)
    // The memtable has its own copies.
    padded.fill(0xee)
    paddedValue.fill(0xee)
    this.model.insert(entry)
    this.rawBytes += key.length + value.length
    return entry
  }

  checkFind(key: Uint8Array, maxSeq: number): void {
    const { memtable } = this
    const expected = this.model.find(key, maxSeq)
    const ref = memtable.find(key, 0, key.length, maxSeq)
    if (expected === undefined) {
      if (ref !== -1) expect(ref).toBe(-1)
      return
    }
    if (ref < 0) expect(ref).toBeGreaterThanOrEqual(0)
    if (memtable.seqOf(ref) !== expected.seq) expect(memtable.seqOf(ref)).toBe(expected.seq)
    if (memtable.kindOf(ref) !== expected.kind) expect(memtable.kindOf(ref)).toBe(expected.kind)
    const value = memtable.valueOf(ref)
    expectSameBytes(value, expected.value)
    if (value.byteLength !== value.buffer.byteLength) expect(value.buffer.byteLength).toBe(value.byteLength)
    expectSameBytes(
      memtable.valueBytesOf(ref).subarray(memtable.valueStartOf(ref), memtable.valueEndOf(ref)),
      expected.value,
    )
  }

  /** A key of the model, one like it, or one that differs from a key of the model by a little. */
  target(): Uint8Array {
    const key = this.key()
    const choice = this.random.below(5)
    if (choice === 0) return key.slice(0, this.random.below(key.length + 1))
    if (choice === 1 && key.length < 65_535) return Uint8Array.from([...key, this.random.below(256)])
    if (choice === 2 && key.length > 0) {
      const near = key.slice()
      const at = this.random.below(near.length)
      near[at] = (near[at] as number) + this.random.pick([1, -1, 16, -16])
      return near
    }
    return key
  }

  checkSeeks(count: number): void {
    const { entries } = this.model
    const it = this.memtable.iterator()
    for (let i = 0; i < count; i++) {
      const key = this.target()
      const seq = this.random.chance(0.5) ? this.random.below(this.seq + 2) : Number.MAX_SAFE_INTEGER
      this.checkFind(key, seq)
      if (this.random.chance(0.5)) {
        it.seek(key, seq)
        const at = this.model.lowerBound(key, seq)
        expectAt(it, entries[at])
        if (it.valid && this.random.chance(0.5)) {
          it.prev()
          expectAt(it, entries[at - 1])
        }
      } else {
        it.seekBefore(key)
        const at = this.model.lowerBound(key, Number.MAX_SAFE_INTEGER) - 1
        expectAt(it, entries[at])
        if (it.valid && this.random.chance(0.5)) {
          it.next()
          expectAt(it, entries[at + 1])
        }
      }
    }
    it.close()
  }

  checkWalks(): void {
    const { entries } = this.model
    const it = this.memtable.iterator()
    it.seekToFirst()
    for (const entry of entries) {
      expectAt(it, entry)
      it.next()
    }
    expectAt(it, undefined)
    it.seekToLast()
    for (let i = entries.length - 1; i >= 0; i--) {
      expectAt(it, entries[i])
      it.prev()
    }
    expectAt(it, undefined)
  }

  checkCounters(): void {
    const { memtable } = this
    const seqs = this.model.entries.map((entry) => entry.seq)
    expect(memtable.entryCount).toBe(seqs.length)
    expect(memtable.isEmpty).toBe(seqs.length === 0)
    expect(memtable.rawBytes).toBe(this.rawBytes)
    expect(memtable.smallestSeq).toBe(seqs.length === 0 ? 0 : Math.min(...seqs))
    expect(memtable.largestSeq).toBe(seqs.length === 0 ? 0 : Math.max(...seqs))
    // A key is held once, whatever its versions.
    const held = this.model.entries.map((entry, i) => {
      const previous = this.model.entries[i - 1]?.key
      const isRepeated = previous !== undefined && compareBytes(previous, entry.key) === 0
      return entry.value.length + (isRepeated ? 0 : entry.key.length)
    })
    expect(memtable.memoryBytes).toBeGreaterThan(held.reduce((sum, bytes) => sum + bytes, 0))
  }
}

describe.each(Object.entries(shapes))('keys: %s', (name, shape) => {
  const huge = name === '64 KiB keys'
  test.each([1, 2, 3, 4])('equals the sorted array (seed %i)', (seed) => {
    const random = new SeededRandom(seed * 1_000_003 + name.length)
    const shared = seed % 2 === 0
    // Half of the seeds count on from beyond 32 bits.
    const pair = new Pair(new Memtable({ shared }), random, shape, seed > 2 ? 2 ** 40 - 50 : 0)
    const rounds = huge ? 4 : 12
    for (let round = 0; round < rounds; round++) {
      pair.checkSeeks(30)
      const inserts = huge ? 12 : random.pick([1, 20, 150])
      for (let i = 0; i < inserts; i++) pair.insert()
      if (round % 4 === 3) pair.checkWalks()
    }
    pair.checkSeeks(huge ? 30 : 300)
    pair.checkWalks()
    pair.checkCounters()
    pair.memtable.release()
  })

  test.each([1, 2])('iterators stand inserts between their movements (seed %i)', (seed) => {
    const random = new SeededRandom(seed * 7_919 + name.length)
    const pair = new Pair(new Memtable(), random, shape)
    const { entries } = pair.model
    const cursors = Array.from({ length: 4 }, () => ({ it: pair.memtable.iterator(), at: undefined as Entry | undefined }))
    for (let step = 0; step < (huge ? 60 : 1_500); step++) {
      if (random.chance(huge ? 0.5 : 0.4)) pair.insert()
      const cursor = random.pick(cursors)
      if (cursor.at === undefined || random.chance(0.05)) {
        const key = pair.target()
        cursor.it.seek(key, pair.seq)
        cursor.at = entries[pair.model.lowerBound(key, pair.seq)]
      } else {
        const index = pair.model.lowerBound(cursor.at.key, cursor.at.seq)
        const forward = random.chance(0.5)
        if (forward) cursor.it.next()
        else cursor.it.prev()
        cursor.at = entries[forward ? index + 1 : index - 1]
      }
      expectAt(cursor.it, cursor.at)
    }
  })
})

describe('versions', () => {
  test('finds every version of a hot key at every snapshot, and walks them both ways', () => {
    const pair = new Pair(new Memtable(), new SeededRandom(11), () => new Uint8Array([7]))
    pair.insert(new Uint8Array([6]))
    pair.insert(new Uint8Array([8]))
    for (let i = 0; i < 700; i++) pair.insert(new Uint8Array([7]))
    for (let seq = 0; seq <= pair.seq + 1; seq++) {
      pair.checkFind(new Uint8Array([7]), seq)
      const it = pair.memtable.iterator()
      it.seek(new Uint8Array([7]), seq)
      expectAt(it, pair.model.entries[pair.model.lowerBound(new Uint8Array([7]), seq)])
    }
    pair.checkWalks()
  })

  test('keeps sequences up to 2^53 - 1 and every kind exact', () => {
    const memtable = new Memtable()
    const seqs = [1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, 2 ** 53 - 1]
    const key = new Uint8Array([1])
    for (const [i, seq] of seqs.entries()) memtable.insert(seq, i * 42, key, 0, 1, key, 0, 0)
    for (const [i, seq] of seqs.entries()) {
      const ref = memtable.find(key, 0, 1, seq)
      expect([memtable.seqOf(ref), memtable.kindOf(ref)]).toEqual([seq, i * 42])
      expect(memtable.find(key, 0, 1, seq - 1) === -1).toBe(i === 0)
    }
  })
})

describe('size', () => {
  test('keeps values of every length around the large-value limit, and accounts them exactly', () => {
    for (const shared of [false, true]) {
      const pair = new Pair(new Memtable({ shared }), new SeededRandom(3), shapes['random 20 bytes'] as KeyShape)
      const before = pair.memtable.memoryBytes
      const value = new SeededRandom(4).fill(new Uint8Array(70_000))
      const key = new Uint8Array([1, 2])
      const lengths = [0, 1, 159, 160, 161, 65_535, 65_536, 65_537, 70_000]
      for (const [i, length] of lengths.entries()) {
        pair.memtable.insert(2 * i + 1, 1, key, 0, 2, value, 0, length)
        pair.memtable.insert(2 * i + 2, 1, new Uint8Array([3, i]), 0, 2, value, 0, length)
      }
      for (const [i, length] of lengths.entries()) {
        expectSameBytes(pair.memtable.valueOf(pair.memtable.find(key, 0, 2, 2 * i + 1)), value.slice(0, length))
        const other = pair.memtable.find(new Uint8Array([3, i]), 0, 2, 100)
        expectSameBytes(pair.memtable.valueOf(other), value.slice(0, length))
      }
      // Chunks of 1 MiB, and the four large values at their exact size.
      const grown = pair.memtable.memoryBytes - before - 2 * (65_537 + 70_000)
      expect(grown % (1 << 20)).toBe(0)
    }
  })

  test('grows by a chunk at a time and stays right over many chunks', () => {
    const memtable = new Memtable()
    const random = new SeededRandom(17)
    const count = 60_000
    const keys = random.fill(new Uint8Array(count * 20))
    const value = new Uint8Array(100)
    let held = memtable.memoryBytes
    for (let i = 0; i < count; i++) {
      value.fill(i)
      memtable.insert(i + 1, 1, keys, i * 20, i * 20 + 20, value, 0, 100)
      const grown = memtable.memoryBytes - held
      if (grown > 2 << 20) expect(grown).toBeLessThanOrEqual(2 << 20)
      held += grown
    }
    for (let i = 0; i < count; i++) {
      const ref = memtable.find(keys, i * 20, i * 20 + 20, count)
      const bytes = memtable.valueBytesOf(ref)
      const last = bytes[memtable.valueEndOf(ref) - 1]
      if (memtable.seqOf(ref) !== i + 1 || last !== (i & 0xff)) expect([memtable.seqOf(ref), last]).toEqual([i + 1, i & 0xff])
    }
    const it = memtable.iterator()
    let walked = 0
    let previous = new Uint8Array(0)
    for (it.seekToFirst(); it.valid; it.next(), walked++) {
      const key = it.keyBytes.slice(it.keyStart, it.keyEnd)
      if (compareBytes(previous, key) >= 0) expect(previous).toEqual(key)
      previous = key
    }
    expect(walked).toBe(count)
    // Overhead per entry: 40 bytes of record, up to 4 of padding, about 20 of hash bucket and tree, and the last chunks.
    expect(memtable.memoryBytes - memtable.rawBytes).toBeLessThan(count * 80 + (2 << 20))
  })
})

describe('misuse', () => {
  const bytes = new Uint8Array(65_536)

  test('refuses a sequence that does not rise, and changes nothing', () => {
    const memtable = new Memtable()
    memtable.insert(5, 1, bytes, 0, 1, bytes, 0, 1)
    for (const seq of [5, 4, 0]) {
      expect(() => memtable.insert(seq, 1, bytes, 0, 2, bytes, 0, 1)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
    }
    expect([memtable.entryCount, memtable.find(bytes, 0, 2, 10)]).toEqual([1, -1])
  })

  test('refuses a key that is longer than a stored key can be', () => {
    const memtable = new Memtable()
    expect(() => memtable.insert(1, 1, bytes, 0, 65_535 + 68, bytes, 0, 0)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    expect(memtable.isEmpty).toBe(true)
  })

  test('throws when a movement needs a position that is not there', () => {
    const it = new Memtable().iterator()
    const internal = expect.objectContaining({ code: 'INTERNAL' })
    expect(() => it.next()).toThrow(internal)
    it.seekToFirst()
    expect(it.valid).toBe(false)
    expect(() => it.prev()).toThrow(internal)
    it.close()
    it.close()
    expect(() => it.seekToFirst()).toThrow(internal)
  })
})
