import { compareRanges } from '@moraine/base'
import type { KeyRange } from '../key/key-range.ts'
import { EntryFields } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'

/** The entries of another iterator whose keys lie in a range; whatever stands outside is not to be seen. */
export class ClippedIterator extends EntryFields implements EntryIterator {
  readonly #source: EntryIterator
  readonly #range: KeyRange

  constructor(source: EntryIterator, range: KeyRange) {
    super()
    this.#source = source
    this.#range = range
  }

  seek(key: Uint8Array, seq: number): MaybePromise {
    const { gte } = this.#range
    const below = gte !== undefined && compareRanges(key, 0, key.length, gte, 0, gte.length) < 0
    return this.#after(below ? this.#source.seek(gte, Number.MAX_SAFE_INTEGER) : this.#source.seek(key, seq))
  }

  seekToFirst(): MaybePromise {
    const { gte } = this.#range
    return this.#after(gte === undefined ? this.#source.seekToFirst() : this.#source.seek(gte, Number.MAX_SAFE_INTEGER))
  }

  seekBefore(key: Uint8Array): MaybePromise {
    const { lt } = this.#range
    const above = lt !== undefined && compareRanges(key, 0, key.length, lt, 0, lt.length) > 0
    return this.#after(this.#source.seekBefore(above ? lt : key))
  }

  seekToLast(): MaybePromise {
    const { lt } = this.#range
    return this.#after(lt === undefined ? this.#source.seekToLast() : this.#source.seekBefore(lt))
  }

  next(): MaybePromise {
    return this.#after(this.#source.next())
  }

  prev(): MaybePromise {
    return this.#after(this.#source.prev())
  }

  close(): void {
    this.valid = false
    this.#source.close()
  }

  #after(wait: MaybePromise): MaybePromise {
    if (wait !== undefined) {
      this.valid = false
      return wait.then(() => this.#expose())
    }
    this.#expose()
    return undefined
  }

  #expose(): void {
    const source = this.#source
    this.valid = source.valid && this.#contains(source)
    this.show(source)
  }

  #contains({ keyBytes, keyStart, keyEnd }: EntryIterator): boolean {
    const { gte, lt } = this.#range
    if (gte !== undefined && compareRanges(keyBytes, keyStart, keyEnd, gte, 0, gte.length) < 0) return false
    return lt === undefined || compareRanges(keyBytes, keyStart, keyEnd, lt, 0, lt.length) < 0
  }
}
