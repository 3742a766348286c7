import type { EntryIterator } from './entry-iterator.ts'

const EMPTY = new Uint8Array(0)

/** The fields of an {@link EntryIterator}, for iterators that show the entry of another one. */
export abstract class EntryFields {
  valid = false
  keyBytes: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  valueBytes: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0

  /** Shows the entry that `source` stands on. `valid` is the caller's to set. */
  protected show(source: EntryIterator): void {
    this.keyBytes = source.keyBytes
    this.keyStart = source.keyStart
    this.keyEnd = source.keyEnd
    this.seq = source.seq
    this.kind = source.kind
    this.valueBytes = source.valueBytes
    this.valueStart = source.valueStart
    this.valueEnd = source.valueEnd
  }
}
