import { EntryFields } from '../iterator/entry-fields.ts'
import type { EntryIterator, MaybePromise } from '../iterator/entry-iterator.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { findInRun } from '../manifest/version.ts'

/**
 * Iterates over a sorted run: tables with disjoint key ranges, one after another. A table is opened when the iterator
 * reaches it.
 */
export class RunIterator extends EntryFields implements EntryIterator {
  readonly #files: readonly TableFile[]
  readonly #open: (file: TableFile) => EntryIterator
  #at = -1
  #current: EntryIterator | undefined

  constructor(files: readonly TableFile[], open: (file: TableFile) => EntryIterator) {
    super()
    this.#files = files
    this.#open = open
  }

  seek(key: Uint8Array, seq: number): MaybePromise {
    this.#stand(findInRun(this.#files, key))
    return this.#settle(this.#current?.seek(key, seq), true)
  }

  seekToFirst(): MaybePromise {
    this.#stand(0)
    return this.#settle(this.#current?.seekToFirst(), true)
  }

  seekBefore(key: Uint8Array): MaybePromise {
    this.#stand(Math.min(findInRun(this.#files, key), this.#files.length - 1))
    return this.#settle(this.#current?.seekBefore(key), false)
  }

  seekToLast(): MaybePromise {
    this.#stand(this.#files.length - 1)
    return this.#settle(this.#current?.seekToLast(), false)
  }

  next(): MaybePromise {
    const current = this.#current as EntryIterator
    const wait = current.next()
    if (wait === undefined && current.valid) {
      this.show(current)
      return undefined
    }
    return this.#settle(wait, true)
  }

  prev(): MaybePromise {
    const current = this.#current as EntryIterator
    const wait = current.prev()
    if (wait === undefined && current.valid) {
      this.show(current)
      return undefined
    }
    return this.#settle(wait, false)
  }

  close(): void {
    this.valid = false
    this.#current?.close()
    this.#current = undefined
  }

  #stand(at: number): void {
    this.valid = false
    if (at === this.#at && this.#current !== undefined) return
    this.#current?.close()
    this.#at = at
    const file = this.#files[at]
    this.#current = file === undefined ? undefined : this.#open(file)
  }

  /** After a movement in the current table: exposes its entry, or goes on into the neighbouring table. */
  #settle(wait: MaybePromise, forward: boolean): MaybePromise {
    if (wait !== undefined) {
      this.valid = false
      return wait.then(() => this.#settle(undefined, forward))
    }
    const current = this.#current
    if (current === undefined) {
      this.valid = false
      return undefined
    }
    if (current.valid) {
      this.valid = true
      this.show(current)
      return undefined
    }
    this.#stand(forward ? this.#at + 1 : this.#at - 1)
    const neighbour = this.#current as EntryIterator | undefined
    return this.#settle(forward ? neighbour?.seekToFirst() : neighbour?.seekToLast(), forward)
  }
}
