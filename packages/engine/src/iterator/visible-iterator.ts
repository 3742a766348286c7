import { compareRanges } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { EntryFields, type EntryView } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'

/**
 * What a reader at one sequence number sees: for every key its newest version not newer than `seq`, and no key whose
 * newest version is a tombstone. Moves over an {@link EntryIterator} and keeps its contract of promises; the entry
 * is exposed as fields too.
 */
export class VisibleIterator extends EntryFields {
  readonly #source: EntryIterator
  readonly #seq: number

  constructor(source: EntryIterator, seq: number) {
    super()
    this.#source = source
    this.#seq = seq
  }

  /** To the first visible key at or after `key`. */
  seek(key: Uint8Array): MaybePromise {
    const wait = this.#source.seek(key, this.#seq)
    return wait === undefined ? this.#findForward(undefined) : wait.then(() => this.#findForward(undefined))
  }

  seekToFirst(): MaybePromise {
    const wait = this.#source.seekToFirst()
    return wait === undefined ? this.#findForward(undefined) : wait.then(() => this.#findForward(undefined))
  }

  /** To the last visible key before `key`. */
  seekBefore(key: Uint8Array): MaybePromise {
    const wait = this.#source.seekBefore(key)
    return wait === undefined ? this.#findBackward() : wait.then(() => this.#findBackward())
  }

  seekToLast(): MaybePromise {
    const wait = this.#source.seekToLast()
    return wait === undefined ? this.#findBackward() : wait.then(() => this.#findBackward())
  }

  /** After a forward movement: to the next visible key. */
  next(): MaybePromise {
    const skip = this.#currentKey()
    const wait = this.#source.next()
    return wait === undefined ? this.#findForward(skip) : wait.then(() => this.#findForward(skip))
  }

  /** After a backward movement: to the previous visible key. The source already stands before the current key. */
  prev(): MaybePromise {
    return this.#findBackward()
  }

  close(): void {
    this.valid = false
    this.#source.close()
  }

  /** The current key as a range whose bytes outlive the source's next movement (see EntryIterator). */
  #currentKey(): KeySlice {
    return { bytes: this.keyBytes, start: this.keyStart, end: this.keyEnd }
  }

  /** From the source's position on: the first key other than `skip` whose newest visible version is a value. */
  #findForward(skip: KeySlice | undefined): MaybePromise {
    const source = this.#source
    while (source.valid) {
      const hidden =
        source.seq > this.#seq ||
        (skip !== undefined &&
          compareRanges(source.keyBytes, source.keyStart, source.keyEnd, skip.bytes, skip.start, skip.end) === 0)
      if (!hidden) {
        if (source.kind !== EntryKind.delete) {
          this.valid = true
          this.show(source)
          return undefined
        }
        skip = { bytes: source.keyBytes, start: source.keyStart, end: source.keyEnd }
      }
      const wait = source.next()
      if (wait !== undefined) {
        const still = skip
        return wait.then(() => this.#findForward(still))
      }
    }
    this.valid = false
    return undefined
  }

  /**
   * Going back, the versions of a key come oldest first, so the last one that is not too new is the visible one; it
   * is known only once the source has moved to the key before.
   */
  #findBackward(): MaybePromise {
    return this.#collectBackward(undefined)
  }

  #collectBackward(candidate: EntryView | undefined): MaybePromise {
    const source = this.#source
    while (source.valid) {
      const sameKey =
        candidate !== undefined &&
        compareRanges(source.keyBytes, source.keyStart, source.keyEnd, candidate.keyBytes, candidate.keyStart, candidate.keyEnd) ===
          0
      if (candidate !== undefined && !sameKey) {
        if (candidate.kind !== EntryKind.delete) break
        candidate = undefined
      }
      if (source.seq <= this.#seq) candidate = entryOf(source)
      const wait = source.prev()
      if (wait !== undefined) {
        const still = candidate
        return wait.then(() => this.#collectBackward(still))
      }
    }
    if (candidate === undefined || candidate.kind === EntryKind.delete) {
      this.valid = false
      return undefined
    }
    this.valid = true
    this.show(candidate)
    return undefined
  }
}

interface KeySlice {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** The entry of `source`, kept over its next movement. */
function entryOf(source: EntryIterator): EntryView {
  return {
    keyBytes: source.keyBytes,
    keyStart: source.keyStart,
    keyEnd: source.keyEnd,
    seq: source.seq,
    kind: source.kind,
    valueBytes: source.valueBytes,
    valueStart: source.valueStart,
    valueEnd: source.valueEnd,
  }
}
