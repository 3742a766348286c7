import { type Arena, CHUNK_MASK, CHUNK_SHIFT } from './arena.ts'
import type { RecordStore } from './record-store.ts'

/**
 * Finds the record of a key by its hash, by extendible hashing (Fagin 1979): a directory, indexed by the top bits of
 * the hash, of pages that are small open-addressed tables. A full page is split in two by the next bit of the hash,
 * so the index grows by 4 KiB at a time, moves a few hundred words at a time, and throws nothing away. A lookup costs
 * one cache miss for the slot, because a slot holds the whole hash, and those of the record.
 *
 *     directory[hash >>> (32 - directory depth)]        page, in the index arena
 *     +----+----+----+----+                             +----------------------------------------------+
 *     |    |    |    |    | -- page address -->         | depth: how many top bits its hashes share    |
 *     +----+----+----+----+                             | count of records, or INCOMPLETE              |
 *     2^(depth - page depth) entries lead to a page     | SLOTS x [hash, address of record or 0]       |
 *                                                       +----------------------------------------------+
 *     A record sits at slot hash & (SLOTS - 1) or after it, cyclically, with no empty slot between.
 *
 * Keys can be chosen so that their hashes collide. A page that cannot be split any more is marked INCOMPLETE and takes
 * no more records; lookups that miss there must ask the tree, which does not care about hashes.
 */
const DEPTH = 0
const COUNT = 1
const SLOTS_AT = 2
const SLOTS = 512
const SLOT_MASK: number = SLOTS - 1
export const PAGE_WORDS: number = SLOTS_AT + 2 * SLOTS

/** Three quarters: beyond that, probe sequences grow fast. */
const MAX_COUNT: number = (SLOTS * 3) / 4

/** Bounds the directory to 4 MiB; a memtable full of honest keys stays below. */
const MAX_DEPTH = 20

const INCOMPLETE = -1

/** The answer of a lookup that the index cannot give. */
export const UNKNOWN = -1

/** A page that is being split. */
const scratch = new Int32Array(2 * SLOTS)

export class HashIndex {
  readonly #arena: Arena
  readonly #records: RecordStore
  #directory: Int32Array
  /** 32 - directory depth; at most 31, because a shift by 32 is a shift by 0. */
  #shift: number

  /** `directory` is given when the arena already holds the pages. */
  constructor(arena: Arena, records: RecordStore, directory?: Int32Array) {
    this.#arena = arena
    this.#records = records
    this.#directory = directory ?? Int32Array.of(this.#addPage(1), this.#addPage(1))
    this.#shift = Math.clz32(this.#directory.length) + 1
  }

  get directory(): Int32Array {
    return this.#directory
  }

  /** The record of `key[start, end)`, whose hash (a signed 32-bit integer) is given, or 0 when there is none, or UNKNOWN. */
  find(hash: number, key: Uint8Array, start: number, end: number): number {
    const page = this.#directory[hash >>> this.#shift] as number
    const words = this.#arena.words[page >>> CHUNK_SHIFT] as Int32Array
    const base = page & CHUNK_MASK
    let slot = hash & SLOT_MASK
    for (;;) {
      const at = base + SLOTS_AT + 2 * slot
      const record = words[at + 1] as number
      if (record === 0) return words[base + COUNT] === INCOMPLETE ? UNKNOWN : 0
      if (words[at] === hash && this.#records.hasKey(record, key, start, end)) return record
      slot = (slot + 1) & SLOT_MASK
    }
  }

  /** Makes room for one more record of this hash, so that the next `insert` cannot fail. */
  makeRoom(hash: number): void {
    for (;;) {
      const page = this.#directory[hash >>> this.#shift] as number
      const words = this.#arena.words[page >>> CHUNK_SHIFT] as Int32Array
      const base = page & CHUNK_MASK
      if ((words[base + COUNT] as number) < MAX_COUNT) return
      if (words[base + DEPTH] === MAX_DEPTH) {
        words[base + COUNT] = INCOMPLETE
        return
      }
      this.#split(page, hash)
    }
  }

  /** Adds a record that is not in the index. Room has been made for it. */
  insert(hash: number, record: number): void {
    const page = this.#directory[hash >>> this.#shift] as number
    const words = this.#arena.words[page >>> CHUNK_SHIFT] as Int32Array
    if (words[(page & CHUNK_MASK) + COUNT] !== INCOMPLETE) this.#put(words, page & CHUNK_MASK, hash, record)
  }

  release(): void {
    this.#directory = new Int32Array(0)
  }

  /** Moves the records of the full page whose next bit is set into a page of their own. */
  #split(page: number, hash: number): void {
    const words = this.#arena.words[page >>> CHUNK_SHIFT] as Int32Array
    const base = page & CHUNK_MASK
    const depth = words[base + DEPTH] as number
    const added = this.#addPage(depth + 1)
    if (depth === 32 - this.#shift) this.#doubleDirectory()

    // Of the directory entries of the page, the second half now leads to the added one.
    const half = 1 << (32 - this.#shift - depth - 1)
    const first = (hash >>> (32 - depth)) * 2 * half
    this.#directory.fill(added, first + half, first + 2 * half)

    scratch.set(words.subarray(base + SLOTS_AT, base + PAGE_WORDS))
    words[base + DEPTH] = depth + 1
    clearPage(words, base)
    const addedWords = this.#arena.words[added >>> CHUNK_SHIFT] as Int32Array
    for (let i = 0; i < 2 * SLOTS; i += 2) {
      const record = scratch[i + 1] as number
      if (record === 0) continue
      const moved = scratch[i] as number
      if (((moved >>> (31 - depth)) & 1) === 0) this.#put(words, base, moved, record)
      else this.#put(addedWords, added & CHUNK_MASK, moved, record)
    }
  }

  #doubleDirectory(): void {
    const old = this.#directory
    const doubled = new Int32Array(2 * old.length)
    for (let i = 0; i < doubled.length; i++) doubled[i] = old[i >>> 1] as number
    this.#directory = doubled
    this.#shift--
  }

  #addPage(depth: number): number {
    const page = this.#arena.allocate(PAGE_WORDS)
    const words = this.#arena.words[page >>> CHUNK_SHIFT] as Int32Array
    words[(page & CHUNK_MASK) + DEPTH] = depth
    clearPage(words, page & CHUNK_MASK)
    return page
  }

  #put(words: Int32Array, base: number, hash: number, record: number): void {
    let slot = hash & SLOT_MASK
    while (words[base + SLOTS_AT + 2 * slot + 1] !== 0) slot = (slot + 1) & SLOT_MASK
    words[base + SLOTS_AT + 2 * slot] = hash
    words[base + SLOTS_AT + 2 * slot + 1] = record
    words[base + COUNT] = (words[base + COUNT] as number) + 1
  }
}

function clearPage(words: Int32Array, base: number): void {
  words.fill(0, base + COUNT, base + PAGE_WORDS)
}
