import { keyOfText, keyText, type KeyText } from '../key/key-text.ts'
import { storedKey, userKey } from '../key/keyspace.ts'
import { rangeHolding } from '../key/text-range.ts'
import type { Entry } from '../read/scan-cursor.ts'
import type { OwnEntries } from '../write/own-writes.ts'
import type { BatchSource, BatchStream } from './scan-stream.ts'

export interface OverlayRequest {
  /** The snapshot's entries of the range, in the order of the scan. */
  readonly base: BatchStream
  /** The own writes in the range, as they were when the scan began. */
  readonly own: OwnEntries
  /** What the stored keys of the keyspace begin with. */
  readonly prefix: Uint8Array
  readonly reverse: boolean
  readonly limit: number
}

/**
 * A scan of a transaction: its own writes laid over the entries of its snapshot. Merges batch by batch: own keys that come
 * before the last key of a batch go with that batch, the rest after the last one.
 */
export class OverlaySource implements BatchSource {
  readonly #base: BatchStream
  readonly #own: OwnEntries
  readonly #prefix: Uint8Array
  readonly #reverse: boolean
  #ownAt = 0
  #remaining: number
  #ended = false

  constructor({ base, own, prefix, reverse, limit }: OverlayRequest) {
    this.#base = base
    this.#own = reverse ? { ...own, entries: own.entries.toReversed() } : own
    this.#prefix = prefix
    this.#reverse = reverse
    this.#remaining = limit
  }

  /** The base decides about the size of its batches. */
  async nextBatch(): Promise<Entry[]> {
    while (!this.#ended && this.#remaining > 0) {
      const step = await this.#base.next()
      this.#ended ||= step.done === true
      const merged = step.done === true ? this.#takeOwn(undefined, []) : this.#merge(step.value)
      if (merged.length === 0) continue
      const batch = merged.length > this.#remaining ? merged.slice(0, this.#remaining) : merged
      this.#remaining -= batch.length
      return batch
    }
    return []
  }

  close(): void {
    this.#ended = true
    // It ends at once; what it resolves to says nothing.
    void this.#base.return()
  }

  #merge(batch: Entry[]): Entry[] {
    const { entries, deleted } = this.#own
    if (entries.length === 0 && deleted.length === 0) return batch
    const merged: Entry[] = []
    for (const entry of batch) {
      const key = keyText(storedKey(this.#prefix, entry[0]))
      this.#takeOwn(key, merged)
      // An own write to the same key, or a deleted range, hides what the snapshot has.
      if (entries[this.#ownAt - 1]?.[0] !== key && rangeHolding(deleted, key) === undefined) merged.push(entry)
    }
    return merged
  }

  /** Adds the values of the own writes up to and with `key`; without one, all that are left. */
  #takeOwn(key: KeyText | undefined, into: Entry[]): Entry[] {
    const { entries } = this.#own
    for (; this.#ownAt < entries.length; this.#ownAt++) {
      const [own, value] = entries[this.#ownAt] as OwnEntries['entries'][number]
      if (key !== undefined && (this.#reverse ? own < key : own > key)) break
      if (value !== undefined) into.push([userKey(this.#prefix, keyOfText(own)).slice(), value.slice()])
    }
    return into
  }
}
