import { MoraineError } from '@moraine/base'
import { allocateBuffer, type Arena, CHUNK_MASK, CHUNK_SHIFT } from './arena.ts'

/**
 * The records of a memtable. Every distinct key has one key record; the records form a circular list in key order
 * that starts and ends at a sentinel, so that an iterator is just a position in the list and inserts never disturb
 * it. The tree and the hash index only lead into this list.
 *
 *     key record                                        version (every later write of the same key)
 *     +----+-----------------------------------+     +----+------------------------------------+
 *  K  | +0 | next key record                   |     | -3 | older version                      |
 *     | +1 | previous key record               |     | -2 | jump: a version much older         |
 *     | +2 | newest version of this key        |     | -1 | depth: how many versions are older |
 *     | +3 | key length in bytes               |     +----+------------------------------------+
 *     +----+-----------------------------------+   E | +0 | sequence, low 32 bits              |
 *  E  | +4 | the first (oldest) version: four  |     | +1 | first(1) kind(8) sequence high(21) |
 *     | .. | words E+0 to E+3, bit "first" set |     | +2 | value: its byte in this chunk, or  |
 *     +----+-----------------------------------+     |    | ~number of a large value           |
 *     | +8 | key bytes, value bytes, padding   |     | +3 | value length in bytes              |
 *     +----+-----------------------------------+     +----+------------------------------------+
 *                                                    | +4 | value bytes, padding               |
 *                                                    +----+------------------------------------+
 *
 * A key written once, the usual case, costs 32 bytes plus its data. Versions are found from the newest on. The jump
 * pointers are those of a skew-binary list (Myers 1983): one extra pointer a version, and any version is reached in
 * O(log n) steps, so that an old snapshot of a counter that was bumped a million times stays cheap to read.
 */
const NEXT = 0
const PREVIOUS = 1
const NEWEST = 2
const KEY_LENGTH = 3
const FIRST_VERSION = 4
const KEY_BYTES = 8

const OLDER = -3
const JUMP = -2
const DEPTH = -1
const SEQUENCE_LOW = 0
const SEQUENCE_HIGH = 1
const VALUE_AT = 2
const VALUE_LENGTH = 3
const VALUE_BYTES = 4

const KIND_SHIFT = 21
const HIGH_MASK: number = (1 << KIND_SHIFT) - 1
const FIRST_BIT: number = 1 << 29
const TWO_TO_32 = 0x1_0000_0000

/** Values above this size get a buffer of their own, so that they waste no end of a chunk. */
export const LARGE_VALUE_BYTES = 65_536

/** Up to this length a loop copies faster than `set`, which needs a view object of the source (about 50 ns). */
const LOOP_COPY_BYTES = 24

export class RecordStore {
  readonly arena: Arena
  /** Values above LARGE_VALUE_BYTES, each in a buffer of its exact size. */
  readonly largeValues: Uint8Array[]
  /** The sentinel of the key list; it has no key and no version. */
  readonly head: number
  readonly #shared: boolean
  #largeBytes = 0
  #released = false

  /** `head` is given when the arena already holds records. */
  constructor(arena: Arena, shared: boolean, head?: number, largeValues: Uint8Array[] = []) {
    this.arena = arena
    this.#shared = shared
    this.largeValues = largeValues
    for (const value of largeValues) this.#largeBytes += value.length
    if (head !== undefined) {
      this.head = head
      return
    }
    this.head = arena.allocate(KEY_BYTES)
    this.#setWord(this.head + NEXT, this.head)
    this.#setWord(this.head + PREVIOUS, this.head)
  }

  get memoryBytes(): number {
    return this.arena.memoryBytes + this.#largeBytes
  }

  // Key records.

  /** The record of the next greater key, or the head. Of the head: the record of the smallest key. */
  nextKey(record: number): number {
    return this.#word(record + NEXT)
  }

  previousKey(record: number): number {
    return this.#word(record + PREVIOUS)
  }

  newestVersion(record: number): number {
    return this.#word(record + NEWEST)
  }

  oldestVersion(record: number): number {
    return record + FIRST_VERSION
  }

  /** The array that holds the key of the record, from keyStartOf to keyEndOf. */
  bytesOf(ref: number): Uint8Array {
    return this.arena.bytes[ref >>> CHUNK_SHIFT] as Uint8Array
  }

  keyStartOf(record: number): number {
    return ((record + KEY_BYTES) & CHUNK_MASK) << 2
  }

  keyLengthOf(record: number): number {
    return this.#word(record + KEY_LENGTH)
  }

  /** True when the key of the record is `key[start, end)`. */
  hasKey(record: number, key: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    const words = this.arena.words[record >>> CHUNK_SHIFT] as Int32Array
    const at = record & CHUNK_MASK
    if (words[at + KEY_LENGTH] !== length) return false
    const bytes = this.arena.bytes[record >>> CHUNK_SHIFT] as Uint8Array
    const own = (at + KEY_BYTES) << 2
    for (let i = 0; i < length; i++) if (bytes[own + i] !== key[start + i]) return false
    return true
  }

  /** A record of a new key with its first version, not yet in the list. Throws before anything has changed. */
  createKey(
    seq: number,
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    const large = valueLength > LARGE_VALUE_BYTES ? this.#copyLarge(value, valueStart, valueEnd) : undefined
    const inlineBytes = keyLength + (large === undefined ? valueLength : 0)
    const record = this.arena.allocate(KEY_BYTES + ((inlineBytes + 3) >>> 2))
    const words = this.arena.words[record >>> CHUNK_SHIFT] as Int32Array
    const bytes = this.arena.bytes[record >>> CHUNK_SHIFT] as Uint8Array
    const at = record & CHUNK_MASK
    const keyAt = (at + KEY_BYTES) << 2
    words[at + NEXT] = 0
    words[at + PREVIOUS] = 0
    words[at + NEWEST] = record + FIRST_VERSION
    words[at + KEY_LENGTH] = keyLength
    words[at + FIRST_VERSION + SEQUENCE_LOW] = seq
    words[at + FIRST_VERSION + SEQUENCE_HIGH] = ((seq / TWO_TO_32) | 0) | (kind << KIND_SHIFT) | FIRST_BIT
    words[at + FIRST_VERSION + VALUE_LENGTH] = valueLength
    copyInto(bytes, keyAt, key, keyStart, keyEnd)
    if (large === undefined) {
      words[at + FIRST_VERSION + VALUE_AT] = keyAt + keyLength
      copyInto(bytes, keyAt + keyLength, value, valueStart, valueEnd)
    } else {
      words[at + FIRST_VERSION + VALUE_AT] = ~this.#adoptLarge(large)
    }
    return record
  }

  /** Puts a created record into the key list, before `successor`. */
  linkBefore(record: number, successor: number): void {
    const previous = this.#word(successor + PREVIOUS)
    this.#setWord(record + NEXT, successor)
    this.#setWord(record + PREVIOUS, previous)
    this.#setWord(previous + NEXT, record)
    this.#setWord(successor + PREVIOUS, record)
  }

  /** Adds a version newer than all others of the key. Throws before anything has changed. */
  addVersion(
    record: number,
    seq: number,
    kind: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const valueLength = valueEnd - valueStart
    const large = valueLength > LARGE_VALUE_BYTES ? this.#copyLarge(value, valueStart, valueEnd) : undefined
    const inlineBytes = large === undefined ? valueLength : 0
    const version = this.arena.allocate(VALUE_BYTES - OLDER + ((inlineBytes + 3) >>> 2)) - OLDER
    const words = this.arena.words[version >>> CHUNK_SHIFT] as Int32Array
    const at = version & CHUNK_MASK
    const older = this.newestVersion(record)
    words[at + OLDER] = older
    words[at + JUMP] = this.#jumpFrom(older)
    words[at + DEPTH] = this.#depthOf(older) + 1
    words[at + SEQUENCE_LOW] = seq
    words[at + SEQUENCE_HIGH] = ((seq / TWO_TO_32) | 0) | (kind << KIND_SHIFT)
    words[at + VALUE_LENGTH] = valueLength
    if (large === undefined) {
      const valueAt = (at + VALUE_BYTES) << 2
      words[at + VALUE_AT] = valueAt
      copyInto(this.arena.bytes[version >>> CHUNK_SHIFT] as Uint8Array, valueAt, value, valueStart, valueEnd)
    } else {
      words[at + VALUE_AT] = ~this.#adoptLarge(large)
    }
    this.#setWord(record + NEWEST, version)
  }

  // Versions.

  seqOf(version: number): number {
    const words = this.arena.words[version >>> CHUNK_SHIFT] as Int32Array
    const at = version & CHUNK_MASK
    const high = (words[at + SEQUENCE_HIGH] as number) & HIGH_MASK
    return high * TWO_TO_32 + ((words[at + SEQUENCE_LOW] as number) >>> 0)
  }

  kindOf(version: number): number {
    return (this.#word(version + SEQUENCE_HIGH) >>> KIND_SHIFT) & 0xff
  }

  isFirstVersion(version: number): boolean {
    return (this.#word(version + SEQUENCE_HIGH) & FIRST_BIT) !== 0
  }

  /** Only of a version that is not the first. */
  olderVersion(version: number): number {
    return this.#word(version + OLDER)
  }

  /** The newest version of the key with a sequence of at most `maxSeq`, or 0. */
  versionAt(record: number, maxSeq: number): number {
    let version = this.newestVersion(record)
    while (this.seqOf(version) > maxSeq) {
      if (this.isFirstVersion(version)) return 0
      const jump = this.#word(version + JUMP)
      version = this.seqOf(jump) > maxSeq ? jump : this.olderVersion(version)
    }
    return version
  }

  /** The version of the key that came right after `version`, or 0 when it is the newest. */
  newerVersion(record: number, version: number): number {
    let newer = this.newestVersion(record)
    if (newer === version) return 0
    const seq = this.seqOf(version)
    for (;;) {
      const jump = this.#word(newer + JUMP)
      if (this.seqOf(jump) > seq) {
        newer = jump
        continue
      }
      const older = this.olderVersion(newer)
      if (older === version) return newer
      newer = older
    }
  }

  valueBytesOf(version: number): Uint8Array {
    const at = this.#word(version + VALUE_AT)
    return at < 0 ? (this.largeValues[~at] as Uint8Array) : (this.arena.bytes[version >>> CHUNK_SHIFT] as Uint8Array)
  }

  valueStartOf(version: number): number {
    const at = this.#word(version + VALUE_AT)
    return at < 0 ? 0 : at
  }

  valueLengthOf(version: number): number {
    return this.#word(version + VALUE_LENGTH)
  }

  /** Throws INTERNAL once the memtable is released: every public call of a memtable or an iterator asks first. */
  checkUsable(): void {
    if (this.#released) {
      throw new MoraineError('INTERNAL', 'the memtable was released; hold it as long as reads or iterators use it')
    }
  }

  release(): void {
    this.#released = true
    this.arena.release()
    this.largeValues.length = 0
    this.#largeBytes = 0
  }

  #depthOf(version: number): number {
    return this.isFirstVersion(version) ? 0 : this.#word(version + DEPTH)
  }

  /**
   * Where a version right above `older` jumps to. Two jumps of equal length below it are merged into one; this
   * keeps the jump lengths those of a skew-binary number, which is what makes searches logarithmic.
   */
  #jumpFrom(older: number): number {
    if (this.isFirstVersion(older)) return older
    const jump = this.#word(older + JUMP)
    if (this.isFirstVersion(jump)) return older
    const farther = this.#word(jump + JUMP)
    const first = this.#depthOf(older) - this.#depthOf(jump)
    const second = this.#depthOf(jump) - this.#depthOf(farther)
    return first === second ? farther : older
  }

  #copyLarge(value: Uint8Array, start: number, end: number): Uint8Array {
    const copy = new Uint8Array(allocateBuffer(end - start, this.#shared))
    copy.set(value.subarray(start, end))
    return copy
  }

  #adoptLarge(copy: Uint8Array): number {
    this.#largeBytes += copy.length
    return this.largeValues.push(copy) - 1
  }

  #word(address: number): number {
    return (this.arena.words[address >>> CHUNK_SHIFT] as Int32Array)[address & CHUNK_MASK] as number
  }

  #setWord(address: number, word: number): void {
    const words = this.arena.words[address >>> CHUNK_SHIFT] as Int32Array
    words[address & CHUNK_MASK] = word
  }
}

function copyInto(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void {
  const length = end - start
  if (length === source.length) {
    target.set(source, at)
  } else if (length > LOOP_COPY_BYTES) {
    target.set(source.subarray(start, end), at)
  } else {
    for (let i = 0; i < length; i++) target[at + i] = source[start + i] as number
  }
}
