/**
 * The iterator contract of the engine: a cursor over versioned entries in internal order, that is by key bytewise
 * ascending, then by sequence number descending (the newest version of a key comes first).
 *
 * Every movement returns undefined when it is complete, or a promise when it has to wait for I/O: memory never
 * costs a promise, and a loop awaits once a block instead of once an entry:
 *
 *     const wait = it.next()
 *     if (wait !== undefined) await wait
 *
 * The current entry is exposed as fields, not as objects: a key and a value are ranges of byte arrays that stay
 * unchanged until the next movement (the arrays of the key and value are never overwritten while the iterator
 * stands, but the fields point elsewhere after it). Fields are meaningless while `valid` is false.
 * An iterator that has thrown or rejected is not valid and can only be closed.
 */
export interface EntryIterator {
  valid: boolean
  keyBytes: Uint8Array
  keyStart: number
  keyEnd: number
  /** Sequence number of the entry. */
  seq: number
  /** An EntryKind; ENVELOPED beside it when the value begins with an envelope. */
  kind: number
  valueBytes: Uint8Array
  valueStart: number
  valueEnd: number

  /** To the first entry at or after (key, seq): the newest version of `key` not newer than `seq`, or a later key. */
  seek(key: Uint8Array, seq: number): MaybePromise
  seekToFirst(): MaybePromise
  /** To the last entry strictly before every version of `key`. */
  seekBefore(key: Uint8Array): MaybePromise
  seekToLast(): MaybePromise
  /** One entry on in internal order. Only on a valid iterator. */
  next(): MaybePromise
  /** One entry back in internal order: older versions of a key come before newer ones. Only on a valid iterator. */
  prev(): MaybePromise
  /** Releases what the iterator holds; it is not valid afterwards. Idempotent. */
  close(): void
}

/** Undefined: done already. A promise: done when it resolves. */
export type MaybePromise = Promise<void> | undefined
