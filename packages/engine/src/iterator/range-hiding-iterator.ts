import { compareRanges } from '@moraine/base'
import { earlierBound, type KeyRange, laterBound } from '../key/key-range.ts'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import { EntryFields } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'

/** Range tombstones that count in a part of the key space. */
export interface TombstonePart {
  readonly tombstones: RangeTombstones
  /** Only there do they delete anything. */
  readonly range: KeyRange
}

/** The range tombstones of one place of a version: a memtable, a table of level 0, a sorted run. */
export interface TombstoneSource {
  /** Those that may cover the key; undefined when there are none. A promise when only I/O can tell. */
  partOf(key: Uint8Array, keyStart: number, keyEnd: number): TombstonePart | undefined | Promise<TombstonePart | undefined>
}

/**
 * The entries of one place of a version less those that range tombstones delete: the place's own, which delete what is
 * older than themselves, and those of newer places, which delete everything, because for any key an earlier place is
 * newer than a later one. What a newer place deletes is not walked through but leapt over.
 */
export class RangeHidingIterator extends EntryFields implements EntryIterator {
  readonly #source: EntryIterator
  readonly #own: TombstoneCursor | undefined
  readonly #newer: readonly TombstoneCursor[]

  /**
   * @param own the tombstones that stand in the same place; undefined when there are none
   * @param newer those of the newer places
   * @param seq tombstones above it are not seen
   */
  constructor(source: EntryIterator, own: TombstoneSource | undefined, newer: readonly TombstoneSource[], seq: number) {
    super()
    this.#source = source
    this.#own = own === undefined ? undefined : new TombstoneCursor(own, seq)
    this.#newer = newer.map((tombstones) => new TombstoneCursor(tombstones, seq))
  }

  seek(key: Uint8Array, seq: number): MaybePromise {
    return this.#after(this.#source.seek(key, seq), true)
  }

  seekToFirst(): MaybePromise {
    return this.#after(this.#source.seekToFirst(), true)
  }

  seekBefore(key: Uint8Array): MaybePromise {
    return this.#after(this.#source.seekBefore(key), false)
  }

  seekToLast(): MaybePromise {
    return this.#after(this.#source.seekToLast(), false)
  }

  next(): MaybePromise {
    return this.#after(this.#source.next(), true)
  }

  prev(): MaybePromise {
    return this.#after(this.#source.prev(), false)
  }

  close(): void {
    this.valid = false
    this.#source.close()
  }

  #after(wait: MaybePromise, forward: boolean): MaybePromise {
    if (wait === undefined) return this.#settle(forward)
    this.valid = false
    return wait.then(() => this.#settle(forward))
  }

  /** Goes on until the source stands on an entry that is not deleted. */
  #settle(forward: boolean): MaybePromise {
    const source = this.#source
    while (source.valid) {
      const moved = this.#leave(forward)
      if (moved === 'stay') {
        this.valid = true
        this.show(source)
        return undefined
      }
      if (moved !== undefined) {
        this.valid = false
        return moved.then(() => this.#settle(forward))
      }
    }
    this.valid = false
    return undefined
  }

  /** Moves off an entry that is deleted, or only waits for tombstones; `stay` when it is there to be seen. */
  #leave(forward: boolean): MaybePromise | 'stay' {
    const source = this.#source
    const { keyBytes, keyStart, keyEnd } = source
    for (const cursor of this.#newer) {
      const wait = cursor.moveTo(keyBytes, keyStart, keyEnd)
      if (wait !== undefined) return wait
      if (cursor.deletedSeq === 0) continue
      if (forward) {
        // Never without an end: a tombstone has one.
        return source.seek(cursor.end as Uint8Array, Number.MAX_SAFE_INTEGER)
      }
      return source.seekBefore(cursor.start as Uint8Array)
    }
    if (this.#own !== undefined) {
      const wait = this.#own.moveTo(keyBytes, keyStart, keyEnd)
      if (wait !== undefined) return wait
      if (source.seq < this.#own.deletedSeq) return forward ? source.next() : source.prev()
    }
    return 'stay'
  }
}

/** What the tombstones of one place say in the neighbourhood of the key that was asked for last. */
class TombstoneCursor {
  /** The newest tombstone that covers the key; 0 for none. */
  deletedSeq = 0
  /** All keys from `start` to before `end` get the same answer; undefined where that has no bound. */
  start: Uint8Array | undefined
  end: Uint8Array | undefined
  readonly #source: TombstoneSource
  readonly #seq: number
  #placed = false
  /** The key that was waited for last, while no other one has been asked for. */
  #answered: Uint8Array | undefined

  constructor(source: TombstoneSource, seq: number) {
    this.#source = source
    this.#seq = seq
  }

  moveTo(key: Uint8Array, keyStart: number, keyEnd: number): MaybePromise {
    // A key outside of the part, a table's largest one for example, would be asked for again, and wait again as long as
    // nothing that is loaded stays in memory: for ever.
    const answered = this.#answered
    if (answered !== undefined && compareRanges(key, keyStart, keyEnd, answered, 0, answered.length) === 0) return undefined
    this.#answered = undefined
    if (this.#placed && this.#covers(key, keyStart, keyEnd)) return undefined
    const part = this.#source.partOf(key, keyStart, keyEnd)
    if (part instanceof Promise) {
      return part.then((loaded) => {
        this.#place(loaded, key, keyStart, keyEnd)
        this.#answered = key.slice(keyStart, keyEnd)
      })
    }
    this.#place(part, key, keyStart, keyEnd)
    return undefined
  }

  #place(part: TombstonePart | undefined, key: Uint8Array, keyStart: number, keyEnd: number): void {
    this.#placed = false
    this.deletedSeq = 0
    if (part === undefined) return
    const { tombstones, range } = part
    const fragment = tombstones.fragmentOf(key, keyStart, keyEnd)
    this.deletedSeq = tombstones.newestSeq(fragment, this.#seq)
    this.start = laterBound(tombstones.startOf(fragment), range.gte)
    this.end = earlierBound(tombstones.endOf(fragment), range.lt)
    this.#placed = true
  }

  #covers(key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    const { start, end } = this
    if (start !== undefined && compareRanges(key, keyStart, keyEnd, start, 0, start.length) < 0) return false
    return end === undefined || compareRanges(key, keyStart, keyEnd, end, 0, end.length) < 0
  }
}
