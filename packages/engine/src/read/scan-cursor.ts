import { copyRange, throwIfAborted } from '@moraine/base'
import { readReference } from '../blob/blob-reference.ts'
import type { BlobStore } from '../blob/blob-store.ts'
import type { EntryIterator, MaybePromise } from '../iterator/entry-iterator.ts'
import { MergingIterator } from '../iterator/merging-iterator.ts'
import { RangeHidingIterator, type TombstoneSource } from '../iterator/range-hiding-iterator.ts'
import { VisibleIterator } from '../iterator/visible-iterator.ts'
import { isEmptyRange, type KeyRange, rangeTouches } from '../key/key-range.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { userKey } from '../key/keyspace.ts'
import { touchingInRun } from '../manifest/version.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import { RunIterator } from '../table/run-iterator.ts'
import { memtableTombstones, runTombstones } from '../table/run-tombstones.ts'
import { type ReadAhead, SCAN_READ_AHEAD, tableIterator } from '../table/table-iterator.ts'
import type { TableStore } from '../table/table-store.ts'
import { BatchValues } from './batch-values.ts'
import type { ReadView } from './read-view.ts'

/** A key and its value; both are the caller's own copies. */
export type Entry = [key: Uint8Array, value: Uint8Array]

export interface ScanRequest {
  /** Of stored keys. */
  readonly range: KeyRange
  /** What the stored keys of the keyspace begin with; entries are given without it. */
  readonly prefix: Uint8Array
  readonly reverse: boolean
  /** Most entries to give; Infinity for all. */
  readonly limit: number
  /** Read at this sequence number. */
  readonly seq: number
  /** And at this time: what has expired by then is not seen. */
  readonly timeMs: number
  readonly signal: AbortSignal | undefined
}

/** All sources of a view that may hold keys of the range, merged, without what range tombstones up to `seq` delete. */
export function viewIterator(view: ReadView, tables: TableStore, range: KeyRange, readAhead: ReadAhead, seq: number): EntryIterator {
  const children: EntryIterator[] = []
  const newer: TombstoneSource[] = []
  const place = (open: () => EntryIterator, tombstones: TombstoneSource | undefined): void => {
    const hides = tombstones !== undefined || newer.length > 0
    children.push(hides ? new RangeHidingIterator(open(), tombstones, [...newer], seq) : open())
    if (tombstones !== undefined) newer.push(tombstones)
  }
  for (const memtable of [view.active, ...view.sealed]) {
    const { rangeTombstones } = memtable
    if (memtable.isEmpty) continue
    place(() => memtable.iterator(), rangeTombstones === undefined ? undefined : memtableTombstones(rangeTombstones))
  }
  const openTable = (file: TableFile): EntryIterator => tableIterator(tables, file, readAhead)
  const inRange = (file: TableFile): boolean => rangeTouches(range, file.smallestKey, file.largestKey)
  const [levelZero, ...runs] = view.version.levels as [readonly TableFile[], ...(readonly TableFile[])[]]
  for (const file of levelZero) if (inRange(file)) place(() => openTable(file), runTombstones([file], tables))
  for (const run of runs) {
    const files = touchingInRun(run, range)
    if (files.length > 0) place(() => new RunIterator(files, openTable), runTombstones(files, tables))
  }
  return children.length === 1 ? (children[0] as EntryIterator) : new MergingIterator(children)
}

/**
 * A running scan: gives its entries in batches, waits only where a batch needs I/O. Holds nothing itself but the
 * iterators; the caller releases the view when the scan ends.
 */
export class ScanCursor {
  readonly #iterator: VisibleIterator
  readonly #blobs: BlobStore
  readonly #request: ScanRequest
  #remaining: number
  #started = false
  #ended = false

  constructor(view: ReadView, tables: TableStore, operators: MergeOperators, request: ScanRequest) {
    const { range, seq, timeMs } = request
    const { blobs } = tables
    const separatedValue = (payload: Uint8Array): Uint8Array | Promise<Uint8Array> => {
      const reference = readReference(payload, 0, payload.length)
      return blobs.resident(reference) ?? blobs.load(reference)
    }
    const source = viewIterator(view, tables, range, SCAN_READ_AHEAD, seq)
    this.#iterator = new VisibleIterator(source, { seq, timeMs, operators, range, separatedValue })
    this.#blobs = blobs
    this.#request = request
    this.#remaining = isEmptyRange(request.range) ? 0 : request.limit
  }

  /**
   * Up to `maxEntries` further entries, cut off once they exceed `maxBytes`; an empty batch means the scan is over.
   */
  async nextBatch(maxEntries: number, maxBytes: number): Promise<Entry[]> {
    const batch: Entry[] = []
    if (this.#ended || this.#remaining <= 0) return batch
    throwIfAborted(this.#request.signal)
    const iterator = this.#iterator
    let separated: BatchValues | undefined
    let bytes = 0
    const wait = this.#started ? this.#step() : this.#start()
    this.#started = true
    if (wait !== undefined) await wait
    for (;;) {
      if (!iterator.valid) {
        this.#ended = true
        break
      }
      const key = this.#key()
      const value = copyRange(iterator.valueBytes, iterator.valueStart, iterator.valueEnd)
      const entry: Entry = [key, value]
      batch.push(entry)
      bytes += key.length + value.length
      if (iterator.separated) {
        separated ??= new BatchValues()
        separated.add(entry, readReference(value, 0, value.length))
      }
      if (--this.#remaining <= 0) {
        this.#ended = true
        break
      }
      if (batch.length >= maxEntries || bytes >= maxBytes || separated?.isFull === true) break
      const pending = this.#step()
      if (pending !== undefined) {
        await pending
        throwIfAborted(this.#request.signal)
      }
    }
    if (separated !== undefined) await separated.fill(this.#blobs, this.#request.signal)
    return batch
  }

  close(): void {
    this.#ended = true
    this.#iterator.close()
  }

  /** A copy of the current key as the user knows it. */
  #key(): Uint8Array {
    const { keyBytes, keyStart, keyEnd } = this.#iterator
    const { prefix } = this.#request
    if (prefix.length > 0) return copyRange(keyBytes, keyStart + prefix.length, keyEnd)
    const stored = copyRange(keyBytes, keyStart, keyEnd)
    return stored[0] === 0xff ? userKey(prefix, stored) : stored
  }

  #start(): MaybePromise {
    const { range, reverse } = this.#request
    if (reverse) return range.lt === undefined ? this.#iterator.seekToLast() : this.#iterator.seekBefore(range.lt)
    return range.gte === undefined ? this.#iterator.seekToFirst() : this.#iterator.seek(range.gte)
  }

  #step(): MaybePromise {
    return this.#request.reverse ? this.#iterator.prev() : this.#iterator.next()
  }
}
