import type { EntryIterator } from './entry-iterator.ts'

/** An entry, wherever it stands: the fields of an {@link EntryIterator} without its movements. */
export type EntryView = Readonly<
  Pick<EntryIterator, 'keyBytes' | 'keyStart' | 'keyEnd' | 'seq' | 'kind' | 'valueBytes' | 'valueStart' | 'valueEnd'>
>

const EMPTY = new Uint8Array(0)

/** Those fields, for iterators that show the entry of another one. */
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

  /** Shows the entry of `source`. `valid` is the caller's to set. */
  protected show(source: EntryView): void {
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
