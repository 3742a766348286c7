import { type Arena, CHUNK_MASK, CHUNK_SHIFT } from './arena.ts'
import type { RecordStore } from './record-store.ts'

/**
 * Finds the record of a key by its hash, by linear hashing (Litwin 1980): the table has one bucket a key and grows by
 * one bucket with every insert, which splits one old bucket in two. So there is never a moment at which the table is
 * rebuilt, and nothing is thrown away. A bucket is a word with its first record; records chain by a word of their own.
 *
 *     bucket number of a hash, with `count` buckets and mask = 2^n - 1, 2^(n-1) < count <= 2^n:
 *         hash & mask, or, if that bucket does not exist yet, hash & (mask >>> 1), the one it will be split from
 *
 * Buckets lie in segments of SEGMENT_BUCKETS words of the index arena.
 */
const SEGMENT_SHIFT = 12
export const SEGMENT_BUCKETS: number = 1 << SEGMENT_SHIFT
const SEGMENT_MASK = SEGMENT_BUCKETS - 1
const INITIAL_BUCKETS = 16

export class HashIndex {
  readonly #arena: Arena
  readonly #records: RecordStore
  /** Addresses of the segments, and the segments as arrays. */
  readonly segmentAddresses: number[] = []
  readonly #segments: Int32Array[] = []
  #bucketCount: number
  #mask: number

  /** `bucketCount` and `segmentAddresses` are given when the arena already holds the buckets. */
  constructor(arena: Arena, records: RecordStore, bucketCount = 0, segmentAddresses: readonly number[] = []) {
    this.#arena = arena
    this.#records = records
    for (const address of segmentAddresses) this.#addSegment(address)
    this.#bucketCount = bucketCount === 0 ? INITIAL_BUCKETS : bucketCount
    this.#mask = INITIAL_BUCKETS - 1
    while (this.#mask < this.#bucketCount - 1) this.#mask = this.#mask * 2 + 1
    if (bucketCount !== 0) return
    this.#addSegment(arena.allocate(SEGMENT_BUCKETS))
    this.#segments[0]?.fill(0, 0, INITIAL_BUCKETS)
  }

  get bucketCount(): number {
    return this.#bucketCount
  }

  /** The record of `key[start, end)`, whose hash is given, or 0. */
  find(hash: number, key: Uint8Array, start: number, end: number): number {
    const records = this.#records
    let record = this.#first(this.#bucketOf(hash))
    while (record !== 0) {
      if (records.hashOf(record) === hash && records.hasKey(record, key, start, end)) return record
      record = records.chainOf(record)
    }
    return 0
  }

  /** Adds a record that is not in the index. The arena has SEGMENT_BUCKETS words reserved: nothing fails half-way. */
  insert(record: number): void {
    this.#split()
    this.#push(this.#bucketOf(this.#records.hashOf(record)), record)
  }

  /** Lets go of the arena's chunks. */
  release(): void {
    this.#segments.length = 0
    this.segmentAddresses.length = 0
  }

  /** Adds the next bucket and moves into it the records of its partner that belong there. */
  #split(): void {
    const records = this.#records
    const added = this.#bucketCount
    if (added > this.#mask) this.#mask = this.#mask * 2 + 1
    if ((added & SEGMENT_MASK) === 0) this.#addSegment(this.#arena.allocate(SEGMENT_BUCKETS))
    this.#bucketCount = added + 1
    const partner = added & (this.#mask >>> 1)
    let record = this.#first(partner)
    this.#setFirst(partner, 0)
    this.#setFirst(added, 0)
    while (record !== 0) {
      const next = records.chainOf(record)
      this.#push((records.hashOf(record) & this.#mask) === added ? added : partner, record)
      record = next
    }
  }

  #bucketOf(hash: number): number {
    const bucket = hash & this.#mask
    return bucket < this.#bucketCount ? bucket : hash & (this.#mask >>> 1)
  }

  #push(bucket: number, record: number): void {
    this.#records.setChain(record, this.#first(bucket))
    this.#setFirst(bucket, record)
  }

  #first(bucket: number): number {
    return (this.#segments[bucket >>> SEGMENT_SHIFT] as Int32Array)[bucket & SEGMENT_MASK] as number
  }

  #setFirst(bucket: number, record: number): void {
    const segment = this.#segments[bucket >>> SEGMENT_SHIFT] as Int32Array
    segment[bucket & SEGMENT_MASK] = record
  }

  #addSegment(address: number): void {
    const words = this.#arena.words[address >>> CHUNK_SHIFT] as Int32Array
    const at = address & CHUNK_MASK
    this.segmentAddresses.push(address)
    this.#segments.push(words.subarray(at, at + SEGMENT_BUCKETS))
  }
}
