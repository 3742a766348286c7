import { compareRanges } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { ENVELOPED, expiryOf, isBlobReference, KIND_MASK, NEVER, payloadStart } from '../batch/envelope.ts'
import type { KeyRange } from '../key/key-range.ts'
import { prefixOf, userKey } from '../key/keyspace.ts'
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
  /** The value that lies in a blob file, where `payload` refers to. Asked when merge operands are applied to it. */
  readonly separatedValue: (payload: Uint8Array) => Uint8Array | Promise<Uint8Array>
  /** Keys outside of it are not looked at: whatever is wrong with them, or long about them, is another reader's. */
  readonly range: KeyRange
}

/**
 * What a reader at one moment sees: for every key the value that its versions not newer than `seq` make, and no key that
 * has none. Moves over an {@link EntryIterator}, whose range tombstones are applied already, and keeps its contract of
 * promises; the entry is exposed as fields too. It ends where the range does: after its last key going forward, before its
 * first one going back. Envelopes are taken off: the fields show the value itself, or (`separated`) the reference to the blob
 * file that it lies in.
 */
export class VisibleIterator extends EntryFields {
  /** The value fields show a reference to a blob file. */
  separated = false
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
      const skipped = skip !== undefined && isKey(source, skip)
      if (!skipped && this.#isAfterRange(source)) break
      if (!skipped && source.seq <= this.#visibility.seq) {
        if (source.kind === EntryKind.put) {
          this.valid = true
          this.separated = false
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
        if (this.#operands.size > 0) return this.#showMergedOnto(key, source)
        this.#showPayload(source)
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
        const shown = this.#showVersions(versions)
        if (shown !== false) return shown === true ? undefined : shown
        versions = []
      }
      if (versions.length === 0 && this.#isBeforeRange(source)) break
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
    const shown = this.#showVersions(versions)
    if (shown === false) this.valid = false
    return typeof shown === 'boolean' ? undefined : shown
  }

  /** Shows what versions of one key, oldest first, make; false when that is nothing. */
  #showVersions(versions: readonly EntryView[]): boolean | Promise<void> {
    const newest = versions.at(-1)
    if (newest === undefined) return false
    if ((newest.kind & KIND_MASK) !== EntryKind.merge) {
      if (!this.#isAlive(newest)) return false
      this.#showPayload(newest)
      return true
    }
    let base: EntryView | undefined
    for (const version of versions.toReversed()) {
      if (!this.#isAlive(version)) continue
      if ((version.kind & KIND_MASK) === EntryKind.merge) this.#pushOperand(version)
      else base = version
    }
    if (this.#operands.size === 0) {
      if (base === undefined) return false
      this.#showPayload(base)
      return true
    }
    const key: KeySlice = { bytes: newest.keyBytes, start: newest.keyStart, end: newest.keyEnd }
    if (base !== undefined) return this.#showMergedOnto(key, base) ?? true
    this.#showMerged(key, undefined)
    return true
  }

  #isAfterRange({ keyBytes, keyStart, keyEnd }: EntryView): boolean {
    const { lt } = this.#visibility.range
    return lt !== undefined && compareRanges(keyBytes, keyStart, keyEnd, lt, 0, lt.length) >= 0
  }

  #isBeforeRange({ keyBytes, keyStart, keyEnd }: EntryView): boolean {
    const { gte } = this.#visibility.range
    return gte !== undefined && compareRanges(keyBytes, keyStart, keyEnd, gte, 0, gte.length) < 0
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
    const { kind, valueBytes, valueStart, valueEnd } = source
    this.valid = true
    this.separated = false
    this.show(source)
    if (kind < ENVELOPED) return
    this.separated = isBlobReference(valueBytes, valueStart, valueEnd)
    this.valueStart = payloadStart(valueBytes, valueStart, valueEnd)
  }

  /** The operands make a value out of `base`, which may have to be fetched. */
  #showMergedOnto(key: KeySlice, base: EntryView): MaybePromise {
    const { kind, valueBytes, valueStart, valueEnd } = base
    const payload = this.#payload(base)
    const separated = kind >= ENVELOPED && isBlobReference(valueBytes, valueStart, valueEnd)
    const value = separated ? this.#visibility.separatedValue(payload) : payload
    if (value instanceof Uint8Array) {
      this.#showMerged(key, value)
      return undefined
    }
    this.valid = false
    return value.then((fetched) => this.#showMerged(key, fetched))
  }

  #showMerged({ bytes, start, end }: KeySlice, base: Uint8Array | undefined): void {
    const stored = bytes.subarray(start, end)
    const key = userKey(prefixOf(stored), stored)
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
    this.separated = false
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
