import { type Arena, CHUNK_MASK, CHUNK_SHIFT } from './arena.ts'
import type { RecordStore } from './record-store.ts'

/**
 * A radix tree over half-bytes that finds the place of a key in the key list. It holds no key bytes: a branch says at
 * which position the keys below it differ, everything they share is skipped, and the record at the end is compared
 * once. Position 2i is the high half of byte i, 2i + 1 the low half. The symbol of a key at a position is 0 when the
 * key has ended there and 1 + half-byte otherwise, so a key sorts before the keys it is a prefix of, and any bytes
 * are allowed in keys.
 *
 *     branch
 *     +----+----------------------------------------------+
 *     | +0 | position at which the children differ        |   child > 0: address of a branch, whose position is greater
 *     | +1 | set of symbols, bit s for symbol s (17 bits) |   child < 0: ~address of a key record
 *     | +2 | children in symbol order, one a set bit,     |
 *     | .. | room for the next of 2, 4, 8, 12, 17         |
 *     +----+----------------------------------------------+
 *
 * A full branch moves to a larger place and leaves the old one in a free list by size (+0 is the next free place).
 * Bytes with few distinct values (digits, ASCII) meet small branches, random bytes full ones.
 */
const POSITION = 0
const SYMBOLS = 1
const CHILDREN = 2
const MAX_CHILDREN = 17

export class RadixTree {
  readonly #records: RecordStore
  readonly #arena: Arena
  /** Address of the word that holds the child at the top; 0 in it when the tree is empty. */
  readonly root: number
  /** Free places by capacity. */
  readonly #free: Int32Array = new Int32Array(MAX_CHILDREN + 1)

  // Where the last #locate ended, when it found no equal key.
  /** The first position at which the key differs from every key of the tree. */
  #position = 0
  /** The symbol of the key at that position. */
  #symbol = 0
  /** The topmost child all of whose keys share the bytes of the key before #position. None has the symbol there. */
  #child = 0
  /** The word that holds #child. */
  #slot = 0
  /** One of the records below #child. */
  #sample = 0
  /** True when the key is smaller than #sample. */
  #before = false

  /** `root` is given when the arena already holds a tree. */
  constructor(arena: Arena, records: RecordStore, root?: number) {
    this.#arena = arena
    this.#records = records
    if (root !== undefined) {
      this.root = root
      return
    }
    this.root = arena.allocate(1)
    this.#setWord(this.root, 0)
  }

  /** The record of `key[start, end)`, or 0. */
  find(key: Uint8Array, start: number, end: number): number {
    return this.#word(this.root) === 0 ? 0 : this.#locate(key, start, end)
  }

  /** The record of the first key at or after `key[start, end)`, or the head of the list. */
  lowerBound(key: Uint8Array, start: number, end: number): number {
    if (this.#word(this.root) === 0) return this.#records.head
    const equal = this.#locate(key, start, end)
    return equal === 0 ? this.#successor() : equal
  }

  /**
   * Adds the record of `key[start, end)`, which must not be in the tree, and returns the record that follows it.
   * When the arena cannot grow it throws, and nothing has changed.
   */
  insert(key: Uint8Array, start: number, end: number, record: number): number {
    if (this.#word(this.root) === 0) {
      this.#setWord(this.root, ~record)
      return this.#records.head
    }
    this.#locate(key, start, end)
    const successor = this.#successor()
    if (this.#atBranch()) this.#addChild(record)
    else this.#split(record)
    return successor
  }

  /**
   * Finds the record of the key, or 0 and then the place where it belongs. The descent follows the symbols of the key
   * as far as they exist. Any record below that point shares as many bytes with the key as any in the tree, and
   * comparing the two gives the position where the key parts. Usually that is where the descent ended; if it is
   * further up, amid bytes that the descent had skipped, a second descent goes there.
   */
  #locate(key: Uint8Array, start: number, end: number): number {
    const chunks = this.#arena.words
    const length = end - start
    let slot = this.root
    let child = this.#word(slot)
    let sample = 0
    let passed = -1
    while (child > 0) {
      const words = chunks[child >>> CHUNK_SHIFT] as Int32Array
      const at = child & CHUNK_MASK
      const position = words[at + POSITION] as number
      const byte = position >>> 1
      const symbol = byte >= length ? 0 : symbolOf(key[start + byte] as number, position)
      const symbols = words[at + SYMBOLS] as number
      const bit = 1 << symbol
      const rank = countBits(symbols & (bit - 1))
      if ((symbols & bit) === 0) {
        // The neighbour of the key, if it belongs here: it will be needed, so it is the one to compare with.
        const isLast = symbols < bit
        const nearest = words[at + CHILDREN + (isLast ? rank - 1 : rank)] as number
        sample = isLast ? this.#greatestBelow(nearest) : this.#smallestBelow(nearest)
        break
      }
      passed = position
      slot = child + CHILDREN + rank
      child = words[at + CHILDREN + rank] as number
    }
    if (child < 0) sample = ~child

    const bytes = this.#records.bytesOf(sample)
    const own = this.#records.keyStartOf(sample)
    const ownLength = this.#records.keyLengthOf(sample)
    const shared = length < ownLength ? length : ownLength
    let i = 0
    while (i < shared && bytes[own + i] === key[start + i]) i++
    if (i === length && i === ownLength) return sample

    const keyByte = i < length ? (key[start + i] as number) : -1
    const ownByte = i < ownLength ? (bytes[own + i] as number) : -1
    const inLowHalf = keyByte >= 0 && ownByte >= 0 && (keyByte ^ ownByte) < 16
    const position = inLowHalf ? 2 * i + 1 : 2 * i
    this.#position = position
    this.#symbol = keyByte < 0 ? 0 : symbolOf(keyByte, position)
    this.#before = keyByte < ownByte
    this.#sample = sample
    this.#slot = slot
    this.#child = child
    if (position < passed) this.#descendTo(position, key, start)
    return 0
  }

  /** Moves #slot and #child up to where the position belongs; all positions before it exist in the key. */
  #descendTo(position: number, key: Uint8Array, start: number): void {
    let slot = this.root
    let child = this.#word(slot)
    for (;;) {
      const words = this.#arena.words[child >>> CHUNK_SHIFT] as Int32Array
      const at = child & CHUNK_MASK
      const childPosition = words[at + POSITION] as number
      if (childPosition >= position) break
      const symbol = symbolOf(key[start + (childPosition >>> 1)] as number, childPosition)
      const rank = countBits((words[at + SYMBOLS] as number) & ((1 << symbol) - 1))
      slot = child + CHILDREN + rank
      child = words[at + CHILDREN + rank] as number
    }
    this.#slot = slot
    this.#child = child
  }

  /** True when the key belongs into the branch #child as a new child, false when a new branch goes above #child. */
  #atBranch(): boolean {
    return this.#child > 0 && this.#word(this.#child + POSITION) === this.#position
  }

  /** The record that follows the key that was located. */
  #successor(): number {
    const child = this.#child
    if (!this.#atBranch()) {
      return this.#before ? this.#smallestBelow(child) : this.#records.nextKey(this.#greatestBelow(child))
    }
    const symbols = this.#word(child + SYMBOLS)
    const rank = countBits(symbols & ((1 << this.#symbol) - 1))
    if (rank < countBits(symbols)) return this.#smallestBelow(this.#word(child + CHILDREN + rank))
    return this.#records.nextKey(this.#greatestBelow(this.#word(child + CHILDREN + rank - 1)))
  }

  #smallestBelow(child: number): number {
    let at = child
    while (at > 0) at = this.#word(at + CHILDREN)
    return ~at
  }

  #greatestBelow(child: number): number {
    let at = child
    while (at > 0) at = this.#word(at + CHILDREN + countBits(this.#word(at + SYMBOLS)) - 1)
    return ~at
  }

  #addChild(record: number): void {
    let branch = this.#child
    const symbols = this.#word(branch + SYMBOLS)
    const count = countBits(symbols)
    const capacity = capacityFor(count)
    if (count === capacity) {
      branch = this.#allocate(capacityFor(count + 1))
      for (let i = 0; i < CHILDREN + count; i++) this.#setWord(branch + i, this.#word(this.#child + i))
      this.#setWord(this.#slot, branch)
      this.#setWord(this.#child, this.#free[capacity] as number)
      this.#free[capacity] = this.#child
    }
    const words = this.#arena.words[branch >>> CHUNK_SHIFT] as Int32Array
    const children = (branch & CHUNK_MASK) + CHILDREN
    const bit = 1 << this.#symbol
    const rank = countBits(symbols & (bit - 1))
    for (let i = count; i > rank; i--) words[children + i] = words[children + i - 1] as number
    words[children + rank] = ~record
    words[children - CHILDREN + SYMBOLS] = symbols | bit
  }

  /** Puts a branch of two children, the record and #child, in the place of #child. */
  #split(record: number): void {
    const child = this.#child
    const otherSymbol = this.#symbolOfRecord(this.#sample, this.#position)
    const branch = this.#allocate(2)
    this.#setWord(branch + POSITION, this.#position)
    this.#setWord(branch + SYMBOLS, (1 << this.#symbol) | (1 << otherSymbol))
    this.#setWord(branch + CHILDREN, this.#before ? ~record : child)
    this.#setWord(branch + CHILDREN + 1, this.#before ? child : ~record)
    this.#setWord(this.#slot, branch)
  }

  #symbolOfRecord(record: number, position: number): number {
    const byte = position >>> 1
    if (byte >= this.#records.keyLengthOf(record)) return 0
    return symbolOf(this.#records.bytesOf(record)[this.#records.keyStartOf(record) + byte] as number, position)
  }

  #allocate(capacity: number): number {
    const free = this.#free[capacity] as number
    if (free === 0) return this.#arena.allocate(CHILDREN + capacity)
    this.#free[capacity] = this.#word(free)
    return free
  }

  #word(address: number): number {
    return (this.#arena.words[address >>> CHUNK_SHIFT] as Int32Array)[address & CHUNK_MASK] as number
  }

  #setWord(address: number, word: number): void {
    const words = this.#arena.words[address >>> CHUNK_SHIFT] as Int32Array
    words[address & CHUNK_MASK] = word
  }
}

/** The symbol of a byte that exists: 1 + its high half at an even position, 1 + its low half at an odd one. */
function symbolOf(byte: number, position: number): number {
  return 1 + ((position & 1) === 0 ? byte >>> 4 : byte & 15)
}

function capacityFor(count: number): number {
  if (count <= 2) return 2
  if (count <= 4) return 4
  if (count <= 8) return 8
  return count <= 12 ? 12 : MAX_CHILDREN
}

/** Number of set bits of a word below 2^18. */
function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x15555)
  bits = (bits & 0x33333) + ((bits >>> 2) & 0x33333)
  bits = (bits + (bits >>> 4)) & 0x30f0f
  return (bits + (bits >>> 8) + (bits >>> 16)) & 31
}
