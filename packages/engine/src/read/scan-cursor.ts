import { compareRanges, copyRange, throwIfAborted } from '@moraine/base'
import type { EntryIterator, MaybePromise } from '../iterator/entry-iterator.ts'
import { MergingIterator } from '../iterator/merging-iterator.ts'
import { VisibleIterator } from '../iterator/visible-iterator.ts'
import { isEmptyRange, type KeyRange, rangeTouches } from '../key/key-range.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { touchingInRun } from '../manifest/version.ts'
import { RunIterator } from '../table/run-iterator.ts'
import { type ReadAhead, SCAN_READ_AHEAD, tableIterator } from '../table/table-iterator.ts'
import type { TableStore } from '../table/table-store.ts'
import type { ReadView } from './read-view.ts'

/** A key and its value; both are the caller's own copies. */
export type Entry = [key: Uint8Array, value: Uint8Array]

export interface ScanRequest {
  readonly range: KeyRange
  readonly reverse: boolean
  /** Most entries to give; Infinity for all. */
  readonly limit: number
  /** Read at this sequence number. */
  readonly seq: number
  readonly signal: AbortSignal | undefined
}

/** All sources of a view that may hold keys of the range, merged. */
export function viewIterator(view: ReadView, tables: TableStore, range: KeyRange, readAhead: ReadAhead): EntryIterator {
  const children: EntryIterator[] = []
  for (const memtable of [view.active, ...view.sealed]) if (!memtable.isEmpty) children.push(memtable.iterator())
  const openTable = (file: TableFile): EntryIterator => tableIterator(tables, file, readAhead)
  const inRange = (file: TableFile): boolean => rangeTouches(range, file.smallestKey, file.largestKey)
  const [levelZero, ...runs] = view.version.levels as [readonly TableFile[], ...(readonly TableFile[])[]]
  for (const file of levelZero) if (inRange(file)) children.push(openTable(file))
  for (const run of runs) {
    const files = touchingInRun(run, range)
    if (files.length > 0) children.push(new RunIterator(files, openTable))
  }
  return children.length === 1 ? (children[0] as EntryIterator) : new MergingIterator(children)
}

/**
 * A running scan: gives its entries in batches, waits only where a batch needs I/O. Holds nothing itself but the
 * iterators; the caller releases the view when the scan ends.
 */
export class ScanCursor {
  readonly #iterator: VisibleIterator
  readonly #request: ScanRequest
  #remaining: number
  #started = false
  #ended = false

  constructor(view: ReadView, tables: TableStore, request: ScanRequest) {
    this.#iterator = new VisibleIterator(viewIterator(view, tables, request.range, SCAN_READ_AHEAD), request.seq)
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
    let bytes = 0
    const wait = this.#started ? this.#step() : this.#start()
    this.#started = true
    if (wait !== undefined) await wait
    for (;;) {
      if (!iterator.valid || !this.#inRange()) {
        this.#ended = true
        return batch
      }
      const key = copyRange(iterator.keyBytes, iterator.keyStart, iterator.keyEnd)
      const value = copyRange(iterator.valueBytes, iterator.valueStart, iterator.valueEnd)
      batch.push([key, value])
      bytes += key.length + value.length
      if (--this.#remaining <= 0) {
        this.#ended = true
        return batch
      }
      if (batch.length >= maxEntries || bytes >= maxBytes) return batch
      const pending = this.#step()
      if (pending !== undefined) {
        await pending
        throwIfAborted(this.#request.signal)
      }
    }
  }

  close(): void {
    this.#ended = true
    this.#iterator.close()
  }

  #start(): MaybePromise {
    const { range, reverse } = this.#request
    if (reverse) return range.lt === undefined ? this.#iterator.seekToLast() : this.#iterator.seekBefore(range.lt)
    return range.gte === undefined ? this.#iterator.seekToFirst() : this.#iterator.seek(range.gte)
  }

  #step(): MaybePromise {
    return this.#request.reverse ? this.#iterator.prev() : this.#iterator.next()
  }

  #inRange(): boolean {
    const { keyBytes, keyStart, keyEnd } = this.#iterator
    const { range, reverse } = this.#request
    if (reverse) {
      return range.gte === undefined || compareRanges(keyBytes, keyStart, keyEnd, range.gte, 0, range.gte.length) >= 0
    }
    return range.lt === undefined || compareRanges(keyBytes, keyStart, keyEnd, range.lt, 0, range.lt.length) < 0
  }
}
