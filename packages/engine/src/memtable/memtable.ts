import { MoraineError, murmur3 } from '@moraine/base'
import { ENVELOPED } from '../batch/envelope.ts'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { MAX_PREFIX_BYTES } from '../key/keyspace.ts'
import { type RangeTombstone, RangeTombstones } from '../key/range-tombstones.ts'
import { Arena, type ArenaPool, CHUNK_BYTES } from './arena.ts'
import { HashIndex, UNKNOWN } from './hash-index.ts'
import { MemtableIterator } from './memtable-iterator.ts'
import { RadixTree } from './radix-tree.ts'
import { RecordStore } from './record-store.ts'

export interface MemtableOptions {
  /** Whether the data sits in SharedArrayBuffers, so that another thread attaches without a copy. Default false. */
  readonly shared?: boolean
  /** Bytes taken at once for each of the two arenas, 64 KiB (the default) to 1 MiB; they grow by 1 MiB. */
  readonly initialBytes?: number
  /** Where 1 MiB chunks come from and go back to. */
  readonly pool?: ArenaPool
}

/** A sealed memtable as structured-cloneable data. Cloning copies nothing when the memtable is shared. */
export interface MemtableImage {
  readonly recordChunks: readonly ArrayBufferLike[]
  readonly indexChunks: readonly ArrayBufferLike[]
  readonly largeValues: readonly Uint8Array[]
  readonly head: number
  readonly root: number
  readonly directory: Int32Array
  readonly shared: boolean
  readonly entryCount: number
  readonly envelopeCount: number
  readonly rangeTombstones: readonly RangeTombstone[]
  readonly rawBytes: number
  readonly smallestSeq: number
  readonly largestSeq: number
}

const MIN_INITIAL_BYTES = 65_536
const MAX_KEY_BYTES = 65_535 + MAX_PREFIX_BYTES
/** A value of 1 GiB with its envelope. */
const MAX_VALUE_BYTES = 0x4000_0000 + 16

/**
 * The sorted buffer of recent writes: an ordered, insert-only map from (key ascending, sequence descending) to
 * (kind, value), written by one thread.
 *
 *     HashIndex --(point reads)--> key record -> newest version -> ... -> first version
 *     RadixTree --(seeks)-------->     |  key list, in order
 *                                  key record -> ...
 *
 * Records and data lie in one arena, hash pages and tree branches in another (see RecordStore, HashIndex, RadixTree).
 * Everything grows in small steps: memory by chunks of 1 MiB that are never copied, the hash index by pages of 4 KiB,
 * so that no insert is much slower than another.
 *
 * Another thread may read the memtable once it is sealed, that is, after the last insert: see `image`.
 */
export class Memtable {
  readonly #recordArena: Arena
  readonly #indexArena: Arena
  readonly #records: RecordStore
  readonly #tree: RadixTree
  readonly #index: HashIndex
  readonly #shared: boolean
  readonly #attached: boolean
  #tombstones: RangeTombstones | undefined
  #tombstoneList: RangeTombstone[] = []
  #entryCount = 0
  #envelopeCount = 0
  #rawBytes = 0
  #smallestSeq = 0
  #largestSeq = 0

  /** `image` is what `attach` passes. */
  constructor(options: MemtableOptions = {}, image?: MemtableImage) {
    this.#shared = image?.shared ?? options.shared ?? false
    this.#attached = image !== undefined
    if (image !== undefined) {
      this.#recordArena = new Arena(undefined, image.recordChunks)
      this.#indexArena = new Arena(undefined, image.indexChunks)
      this.#records = new RecordStore(this.#recordArena, this.#shared, image.head, [...image.largeValues])
      this.#tree = new RadixTree(this.#indexArena, this.#records, image.root)
      this.#index = new HashIndex(this.#indexArena, this.#records, image.directory)
      this.#entryCount = image.entryCount
      this.#envelopeCount = image.envelopeCount
      this.#tombstoneList = [...image.rangeTombstones]
      this.#rawBytes = image.rawBytes
      this.#smallestSeq = image.smallestSeq
      this.#largestSeq = image.largestSeq
      return
    }
    const wanted = options.initialBytes ?? MIN_INITIAL_BYTES
    const firstChunkBytes = Math.min(CHUNK_BYTES, Math.max(MIN_INITIAL_BYTES, Math.ceil(wanted / 4) * 4))
    const arenaOptions = { shared: this.#shared, firstChunkBytes, pool: options.pool }
    this.#recordArena = new Arena(arenaOptions)
    this.#indexArena = new Arena(arenaOptions)
    this.#records = new RecordStore(this.#recordArena, this.#shared)
    this.#tree = new RadixTree(this.#indexArena, this.#records)
    this.#index = new HashIndex(this.#indexArena, this.#records)
  }

  /** The memtable of another thread, read-only. The image must have been taken after the last insert. */
  static attach(image: MemtableImage): Memtable {
    return new Memtable({}, image)
  }

  /** Versions of keys and range tombstones. */
  get entryCount(): number {
    return this.#entryCount
  }

  /** Entries whose value begins with an envelope. */
  get envelopeCount(): number {
    return this.#envelopeCount
  }

  /** The range tombstones among the entries; undefined when there are none. More may come while the memtable is written to. */
  get rangeTombstones(): RangeTombstones | undefined {
    if (this.#tombstones === undefined && this.#tombstoneList.length > 0) {
      this.#tombstones = RangeTombstones.of(this.#tombstoneList)
    }
    return this.#tombstones
  }

  get isEmpty(): boolean {
    return this.#entryCount === 0
  }

  /** Bytes of memory held: whole chunks, large values, the hash directory. */
  get memoryBytes(): number {
    const points = this.#records.memoryBytes + this.#indexArena.memoryBytes + this.#index.directory.byteLength
    return this.#tombstones === undefined ? points : points + this.#tombstones.memoryBytes
  }

  /** Bytes of all keys and values inserted, every version counted with its key. */
  get rawBytes(): number {
    return this.#rawBytes
  }

  /** 0 while empty. */
  get smallestSeq(): number {
    return this.#smallestSeq
  }

  /** 0 while empty. */
  get largestSeq(): number {
    return this.#largestSeq
  }

  /**
   * Adds the entry, copying `key[keyStart, keyEnd)` (a stored key: see key/keyspace.ts) and `value[valueStart, valueEnd)` (up to
   * 1 GiB). `seq` is greater than every one before; `kind` is an EntryKind, with ENVELOPED where it applies. Either adds the entry or throws
   * (INVALID: too long; INTERNAL: sequence out of order, released, attached, full) and changes nothing.
   */
  insert(
    seq: number,
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.#records.checkUsable()
    this.#checkInsert(seq, keyEnd - keyStart, valueEnd - valueStart)
    const hash = murmur3(key, keyStart, keyEnd) | 0
    const existing = this.#findRecord(hash, key, keyStart, keyEnd)
    if (existing === 0) {
      // Each of these allocates before it changes anything; once the key is in the tree nothing can fail.
      this.#index.makeRoom(hash)
      const record = this.#records.createKey(seq, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
      this.#records.linkBefore(record, this.#tree.insert(key, keyStart, keyEnd, record))
      this.#index.insert(hash, record)
    } else {
      this.#records.addVersion(existing, seq, kind, value, valueStart, valueEnd)
    }
    if (kind >= ENVELOPED) this.#envelopeCount++
    this.#counted(seq, keyEnd - keyStart + (valueEnd - valueStart))
  }

  /** Adds a range tombstone: older versions of the keys from `start` to before `end` are deleted. Copies both. */
  deleteRange(seq: number, start: Uint8Array, end: Uint8Array): void {
    this.#records.checkUsable()
    this.#checkInsert(seq, start.length, end.length)
    const tombstone: RangeTombstone = { start: start.slice(), end: end.slice(), seq }
    this.#tombstones ??= new RangeTombstones()
    this.#tombstones.add(tombstone.start, tombstone.end, seq)
    this.#tombstoneList.push(tombstone)
    this.#counted(seq, start.length + end.length)
  }

  #counted(seq: number, rawBytes: number): void {
    if (this.#entryCount === 0) this.#smallestSeq = seq
    this.#entryCount++
    this.#largestSeq = seq
    this.#rawBytes += rawBytes
  }

  /** The newest entry of `key[keyStart, keyEnd)` with a sequence of at most `maxSeq`: a reference, or -1. */
  find(key: Uint8Array, keyStart: number, keyEnd: number, maxSeq: number): number {
    this.#records.checkUsable()
    const record = this.#findRecord(murmur3(key, keyStart, keyEnd) | 0, key, keyStart, keyEnd)
    if (record === 0) return -1
    const version = this.#records.versionAt(record, maxSeq)
    return version === 0 ? -1 : version
  }

  /** The version of the same key right before the one that `find` gave; -1 when that is the first. */
  olderOf(ref: number): number {
    this.#records.checkUsable()
    return this.#records.isFirstVersion(ref) ? -1 : this.#records.olderVersion(ref)
  }

  /** An EntryKind, with ENVELOPED beside it. */
  kindOf(ref: number): number {
    this.#records.checkUsable()
    return this.#records.kindOf(ref)
  }

  seqOf(ref: number): number {
    this.#records.checkUsable()
    return this.#records.seqOf(ref)
  }

  /** The array that holds the value, from valueStartOf to valueEndOf. It must not be written to, nor kept. */
  valueBytesOf(ref: number): Uint8Array {
    this.#records.checkUsable()
    return this.#records.valueBytesOf(ref)
  }

  valueStartOf(ref: number): number {
    this.#records.checkUsable()
    return this.#records.valueStartOf(ref)
  }

  valueEndOf(ref: number): number {
    this.#records.checkUsable()
    return this.#records.valueStartOf(ref) + this.#records.valueLengthOf(ref)
  }

  /** A copy of the value in an unshared buffer of its exact size. */
  valueOf(ref: number): Uint8Array {
    const start = this.valueStartOf(ref)
    return this.#records.valueBytesOf(ref).slice(start, start + this.#records.valueLengthOf(ref))
  }

  /** Not valid until it is positioned. Inserts may go on while it is used; it may or may not see them. */
  iterator(): EntryIterator {
    this.#records.checkUsable()
    return new MemtableIterator(this.#records, this.#tree)
  }

  /** Handles for `attach` in another thread; only when no insert follows, and `release` only when that thread is done. */
  image(): MemtableImage {
    this.#records.checkUsable()
    return {
      recordChunks: this.#recordArena.chunks,
      indexChunks: this.#indexArena.chunks,
      largeValues: [...this.#records.largeValues],
      head: this.#records.head,
      root: this.#tree.root,
      directory: this.#index.directory,
      shared: this.#shared,
      entryCount: this.#entryCount,
      envelopeCount: this.#envelopeCount,
      rangeTombstones: this.#tombstoneList,
      rawBytes: this.#rawBytes,
      smallestSeq: this.#smallestSeq,
      largestSeq: this.#largestSeq,
    }
  }

  /**
   * Gives the memory back, of an attached memtable only its views. Every later use of the memtable or of its iterators
   * throws INTERNAL; a value array that somebody kept would show another memtable's data. Idempotent.
   */
  release(): void {
    this.#records.release()
    this.#index.release()
    this.#indexArena.release()
  }

  /** The record of the key, or 0. */
  #findRecord(hash: number, key: Uint8Array, start: number, end: number): number {
    const record = this.#index.find(hash, key, start, end)
    return record === UNKNOWN ? this.#tree.find(key, start, end) : record
  }

  #checkInsert(seq: number, keyLength: number, valueLength: number): void {
    if (this.#attached) throw new MoraineError('INTERNAL', 'a memtable attached from another thread is read-only')
    if (seq <= this.#largestSeq) {
      throw new MoraineError('INTERNAL', `sequence ${seq} came after ${this.#largestSeq}; sequences must rise`)
    }
    if (keyLength > MAX_KEY_BYTES) {
      throw new MoraineError('INVALID', `a key of ${keyLength} bytes is too long; keys have at most ${MAX_KEY_BYTES}`)
    }
    if (valueLength > MAX_VALUE_BYTES) {
      throw new MoraineError('INVALID', `a value of ${valueLength} bytes is too long; values have at most 1 GiB`)
    }
  }
}
