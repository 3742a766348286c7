import { compareRanges } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { ENVELOPED, expiryOf, KIND_MASK, NEVER, payloadStart } from '../batch/envelope.ts'
import { prefixLength, userKey } from '../key/keyspace.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import { OperandStack } from '../merge/operand-stack.ts'
import { EntryFields, type EntryView } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'

/** The moment that is read at, and what merge operands mean. */
export interface Visibility {
  /** Newer versions are not seen. */
  readonly seq: number
  /** What has expired by this wall-clock millisecond is not seen. */
  readonly timeMs: number
  readonly operators: MergeOperators
}

/**
 * What a reader at one moment sees: for every key the value that its versions not newer than `seq` make, and no key that
 * has none. Moves over an {@link EntryIterator}, whose range tombstones are applied already, and keeps its contract of
 * promises; the entry is exposed as fields too. Envelopes are taken off: the fields show the value itself.
 */
export class VisibleIterator extends EntryFields {
  readonly #source: EntryIterator
  readonly #visibility: Visibility
  readonly #operands = new OperandStack()
  /** The source has gone past the versions of the current key. */
  #ahead = false

  constructor(source: EntryIterator, visibility: Visibility) {
    super()
    this.#source = source
    this.#visibility = visibility
  }

  /** To the first visible key at or after `key`. */
  seek(key: Uint8Array): MaybePromise {
    return this.#forwardAfter(this.#source.seek(key, this.#visibility.seq), undefined)
  }

  seekToFirst(): MaybePromise {
    return this.#forwardAfter(this.#source.seekToFirst(), undefined)
  }

  /** To the last visible key before `key`. */
  seekBefore(key: Uint8Array): MaybePromise {
    const wait = this.#source.seekBefore(key)
    return wait === undefined ? this.#findBackward([]) : wait.then(() => this.#findBackward([]))
  }

  seekToLast(): MaybePromise {
    const wait = this.#source.seekToLast()
    return wait === undefined ? this.#findBackward([]) : wait.then(() => this.#findBackward([]))
  }

  /** After a forward movement: to the next visible key. */
  next(): MaybePromise {
    const skip: KeySlice = { bytes: this.keyBytes, start: this.keyStart, end: this.keyEnd }
    return this.#ahead ? this.#forwardAfter(undefined, skip) : this.#forwardAfter(this.#source.next(), skip)
  }

  /** After a backward movement: to the previous visible key. The source already stands before the current key. */
  prev(): MaybePromise {
    return this.#findBackward([])
  }

  close(): void {
    this.valid = false
    this.#source.close()
  }

  #forwardAfter(wait: MaybePromise, skip: KeySlice | undefined): MaybePromise {
    this.#ahead = false
    return wait === undefined ? this.#findForward(skip) : wait.then(() => this.#findForward(skip))
  }

  /** From the source's position on: the first key other than `skip` that has a value. */
  #findForward(skip: KeySlice | undefined): MaybePromise {
    const source = this.#source
    while (source.valid) {
      const hidden = source.seq > this.#visibility.seq || (skip !== undefined && isKey(source, skip))
      if (!hidden) {
        if (source.kind === EntryKind.put) {
          this.valid = true
          this.show(source)
          return undefined
        }
        const kind = source.kind & KIND_MASK
        if (kind === EntryKind.merge) return this.#mergeForward({ bytes: source.keyBytes, start: source.keyStart, end: source.keyEnd })
        if (kind === EntryKind.put && this.#isAlive(source)) {
          this.#showPayload(source)
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

  /** The source stands on a merge operand, the newest version of `key` that is seen: gathers until there is a base. */
  #mergeForward(key: KeySlice): MaybePromise {
    const source = this.#source
    while (source.valid && isKey(source, key)) {
      if ((source.kind & KIND_MASK) !== EntryKind.merge) {
        if (!this.#isAlive(source)) break
        if (this.#operands.size === 0) this.#showPayload(source)
        else this.#showMerged(key, this.#payload(source))
        return undefined
      }
      if (this.#isAlive(source)) this.#pushOperand(source)
      const wait = source.next()
      if (wait !== undefined) return wait.then(() => this.#mergeForward(key))
    }
    if (this.#operands.size === 0) return this.#findForward(key)
    this.#ahead = true
    this.#showMerged(key, undefined)
    return undefined
  }

  /**
   * Going back, the versions of a key come oldest first, so what they make is known only once the source has moved to the
   * key before. `versions` are those of one key met so far that count: a base or none, then operands.
   */
  #findBackward(versions: EntryView[]): MaybePromise {
    const source = this.#source
    while (source.valid) {
      const first = versions[0]
      if (first !== undefined && !isKey(source, { bytes: first.keyBytes, start: first.keyStart, end: first.keyEnd })) {
        if (this.#showVersions(versions)) return undefined
        versions = []
      }
      if (source.seq <= this.#visibility.seq) {
        if ((source.kind & KIND_MASK) !== EntryKind.merge) versions.length = 0
        versions.push(entryOf(source))
      }
      const wait = source.prev()
      if (wait !== undefined) {
        const still = versions
        return wait.then(() => this.#findBackward(still))
      }
    }
    if (!this.#showVersions(versions)) this.valid = false
    return undefined
  }

  /** Shows what versions of one key, oldest first, make; false when that is nothing. */
  #showVersions(versions: readonly EntryView[]): boolean {
    const newest = versions.at(-1)
    if (newest === undefined) return false
    if ((newest.kind & KIND_MASK) !== EntryKind.merge) {
      if (!this.#isAlive(newest)) return false
      this.#showPayload(newest)
      return true
    }
    let base: Uint8Array | undefined
    for (const version of versions.toReversed()) {
      if (!this.#isAlive(version)) continue
      if ((version.kind & KIND_MASK) === EntryKind.merge) this.#pushOperand(version)
      else base = this.#payload(version)
    }
    if (this.#operands.size === 0) {
      if (base === undefined) return false
      const oldest = versions[0] as EntryView
      this.#showPayload(oldest)
      return true
    }
    this.#showMerged({ bytes: newest.keyBytes, start: newest.keyStart, end: newest.keyEnd }, base)
    return true
  }

  /** False for a tombstone and for what has expired. */
  #isAlive({ kind, valueBytes, valueStart, valueEnd }: EntryView): boolean {
    if (kind < ENVELOPED) return kind !== EntryKind.delete
    const expiresAtMs = expiryOf(valueBytes, valueStart, valueEnd)
    return expiresAtMs === NEVER || expiresAtMs > this.#visibility.timeMs
  }

  #pushOperand(source: EntryView): void {
    const { kind, valueBytes, valueStart, valueEnd } = source
    const start = kind < ENVELOPED ? valueStart : payloadStart(valueBytes, valueStart, valueEnd)
    this.#operands.push(valueBytes, start, valueEnd, source.seq)
  }

  #payload({ kind, valueBytes, valueStart, valueEnd }: EntryView): Uint8Array {
    return valueBytes.subarray(kind < ENVELOPED ? valueStart : payloadStart(valueBytes, valueStart, valueEnd), valueEnd)
  }

  #showPayload(source: EntryView): void {
    this.valid = true
    this.show(source)
    if (source.kind >= ENVELOPED) this.valueStart = payloadStart(source.valueBytes, source.valueStart, source.valueEnd)
  }

  #showMerged({ bytes, start, end }: KeySlice, base: Uint8Array | undefined): void {
    const stored = bytes.subarray(start, end)
    const key = userKey(stored.subarray(0, prefixLength(stored, 0, stored.length)), stored)
    this.keyBytes = bytes
    this.keyStart = start
    this.keyEnd = end
    this.seq = this.#operands.newestSeq
    this.kind = EntryKind.put
    try {
      this.valueBytes = this.#operands.applyTo(this.#visibility.operators.of(stored), key, base)
    } finally {
      this.#operands.clear()
    }
    this.valueStart = 0
    this.valueEnd = this.valueBytes.length
    this.valid = true
  }
}

interface KeySlice {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

function isKey(entry: EntryView, { bytes, start, end }: KeySlice): boolean {
  return compareRanges(entry.keyBytes, entry.keyStart, entry.keyEnd, bytes, start, end) === 0
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
