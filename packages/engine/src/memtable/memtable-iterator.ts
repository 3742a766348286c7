import { MoraineError } from '@moraine/base'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import type { RadixTree } from './radix-tree.ts'
import type { RecordStore } from './record-store.ts'

const NO_BYTES = new Uint8Array(0)

/**
 * A cursor over a memtable. Its position is a key record and a version; neither ever moves and both lists only gain
 * members, so inserts between two movements need no care. Movements never wait and throw INTERNAL once the memtable
 * is released.
 */
export class MemtableIterator implements EntryIterator {
  valid = false
  keyBytes: Uint8Array = NO_BYTES
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  valueBytes: Uint8Array = NO_BYTES
  valueStart = 0
  valueEnd = 0

  readonly #records: RecordStore
  readonly #tree: RadixTree
  #record = 0
  #version = 0
  #closed = false

  constructor(records: RecordStore, tree: RadixTree) {
    this.#records = records
    this.#tree = tree
  }

  seek(key: Uint8Array, seq: number): undefined {
    this.#checkOpen()
    const record = this.#tree.lowerBound(key, 0, key.length)
    if (record !== this.#records.head && this.#records.hasKey(record, key, 0, key.length)) {
      const version = this.#records.versionAt(record, seq)
      if (version === 0) this.#standOnNewest(this.#records.nextKey(record))
      else this.#standOnKey(record, version)
      return
    }
    this.#standOnNewest(record)
  }

  seekToFirst(): undefined {
    this.#checkOpen()
    this.#standOnNewest(this.#records.nextKey(this.#records.head))
  }

  seekBefore(key: Uint8Array): undefined {
    this.#checkOpen()
    this.#standOnOldest(this.#records.previousKey(this.#tree.lowerBound(key, 0, key.length)))
  }

  seekToLast(): undefined {
    this.#checkOpen()
    this.#standOnOldest(this.#records.previousKey(this.#records.head))
  }

  next(): undefined {
    this.#checkValid()
    const records = this.#records
    if (records.isFirstVersion(this.#version)) this.#standOnNewest(records.nextKey(this.#record))
    else this.#standOnVersion(records.olderVersion(this.#version))
  }

  prev(): undefined {
    this.#checkValid()
    const newer = this.#records.newerVersion(this.#record, this.#version)
    if (newer === 0) this.#standOnOldest(this.#records.previousKey(this.#record))
    else this.#standOnVersion(newer)
  }

  close(): void {
    this.#closed = true
    this.valid = false
    this.keyBytes = NO_BYTES
    this.valueBytes = NO_BYTES
  }

  #standOnNewest(record: number): void {
    if (record === this.#records.head) this.valid = false
    else this.#standOnKey(record, this.#records.newestVersion(record))
  }

  #standOnOldest(record: number): void {
    if (record === this.#records.head) this.valid = false
    else this.#standOnKey(record, this.#records.oldestVersion(record))
  }

  #standOnKey(record: number, version: number): void {
    const records = this.#records
    this.#record = record
    this.keyBytes = records.bytesOf(record)
    this.keyStart = records.keyStartOf(record)
    this.keyEnd = this.keyStart + records.keyLengthOf(record)
    this.#standOnVersion(version)
    this.valid = true
  }

  #standOnVersion(version: number): void {
    const records = this.#records
    this.#version = version
    this.seq = records.seqOf(version)
    this.kind = records.kindOf(version)
    this.valueBytes = records.valueBytesOf(version)
    this.valueStart = records.valueStartOf(version)
    this.valueEnd = this.valueStart + records.valueLengthOf(version)
  }

  #checkValid(): void {
    if (!this.valid) throw new MoraineError('INTERNAL', 'next() or prev() on an iterator that is not valid; seek first')
    this.#records.checkUsable()
  }

  #checkOpen(): void {
    if (this.#closed) throw new MoraineError('INTERNAL', 'the memtable iterator was closed; take a new one')
    this.valid = false
    this.#records.checkUsable()
  }
}
