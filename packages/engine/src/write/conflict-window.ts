import { EntryKind } from '@moraine/sstable'
import { visitOperations } from '../batch/batch-codec.ts'
import { type KeyText, keyText } from '../key/key-text.ts'
import { holdsText, rangeHolding, rangeMeeting, type TextRange } from '../key/text-range.ts'

/** What remembering one write takes besides the key: two places in lists, an entry of a Map, the text's own header. */
const RECORD_OVERHEAD_BYTES = 96

/** Dead records at the front of a list are cut off once there are so many of them, and more than live ones. */
const TRIM_FROM = 1024

/**
 * Which keys and ranges were written since the oldest watch began, and when. Optimistic commits ask it, in the same
 * synchronous step in which they are applied, whether what they rest on still stands. Sequence numbers decide, never time.
 *
 *     seq   ...  41       42       43       44       45  ...
 *                 |  a watch at 41 asks: was 'k' written after 41?
 *                 |        'k'     'x'     [p, q)   'k'      records, oldest first
 *
 * Nothing is recorded while nobody watches. What is remembered is bounded: past the limit the oldest watches are given up
 * (`overrun`), and are answered as if everything had been written, so that whoever asks has to begin anew.
 */
export class ConflictWindow {
  /** Whether writes have to be recorded: the one thing that the write path looks at. */
  recording = false

  readonly #limitBytes: number
  /** In the order in which they began, and so in the order of their sequence numbers. */
  readonly #watches = new Set<ConflictWatch>()
  /** The written keys from `#head` on, oldest first, and beside each its sequence number. */
  #keys: KeyText[] = []
  #seqs: number[] = []
  #head = 0
  /** The last write of each key in `#keys`. */
  readonly #lastWrites = new Map<KeyText, number>()
  /** Ranges that were deleted, oldest first. */
  #ranges: { readonly seq: number; readonly range: TextRange }[] = []
  #sizeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Memory that the records take, roughly. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** From now on, where `seq` is the last write so far, until the watch is closed. */
  watch(seq: number): ConflictWatch {
    const watch = new ConflictWatch(this, seq)
    this.#watches.add(watch)
    this.recording = true
    return watch
  }

  /** An operation was applied; a range delete has the end of the range, which is excluded, for its value. */
  record(
    seq: number,
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.#record(seq, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
    this.#keepLimit()
  }

  /** The operations of an encoded batch were applied, the first one with sequence number `firstSeq`. */
  recordOperations(firstSeq: number, operations: Uint8Array): void {
    let seq = firstSeq
    visitOperations(operations, 'a write batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      this.#record(seq++, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
    })
    this.#keepLimit()
  }

  /** No write will be taken in any more: forgets everything. */
  stop(): void {
    for (const watch of this.#watches) watch.overrun = true
    this.#watches.clear()
    this.#forgetOld()
  }

  /** For watches only. */
  forget(watch: ConflictWatch): void {
    if (this.#watches.delete(watch)) this.#forgetOld()
  }

  keyWritten(text: KeyText, after: number): boolean {
    if ((this.#lastWrites.get(text) ?? 0) > after) return true
    return this.#ranges.some(({ seq, range }) => seq > after && holdsText(range, text))
  }

  /** Costs a step for every write since `after`, whatever the number of ranges. */
  writtenIn(merged: readonly TextRange[], after: number): { range: TextRange; key: KeyText } | undefined {
    for (let i = this.#firstAfter(after); i < this.#keys.length; i++) {
      const key = this.#keys[i] as KeyText
      const range = rangeHolding(merged, key)
      if (range !== undefined) return { range, key }
    }
    for (const { seq, range: deleted } of this.#ranges) {
      const range = seq > after ? rangeMeeting(merged, deleted) : undefined
      if (range !== undefined) return { range, key: deleted.gte > range.gte ? deleted.gte : range.gte }
    }
    return undefined
  }

  #record(
    seq: number,
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const text = keyText(key, keyStart, keyEnd)
    if (kind === EntryKind.deleteRange) {
      const range = { gte: text, lt: keyText(value, valueStart, valueEnd) }
      this.#ranges.push({ seq, range })
      this.#sizeBytes += rangeBytes(range)
      return
    }
    this.#keys.push(text)
    this.#seqs.push(seq)
    this.#lastWrites.set(text, seq)
    this.#sizeBytes += text.length + RECORD_OVERHEAD_BYTES
  }

  #keepLimit(): void {
    while (this.#sizeBytes > this.#limitBytes) {
      const [oldest] = this.#watches
      if (oldest === undefined) return
      oldest.overrun = true
      this.#watches.delete(oldest)
      this.#forgetOld()
    }
  }

  /** Lets go of what no watch can ask for any more. */
  #forgetOld(): void {
    const [oldest] = this.#watches
    if (oldest === undefined) {
      this.recording = false
      this.#keys = []
      this.#seqs = []
      this.#head = 0
      this.#lastWrites.clear()
      this.#ranges = []
      this.#sizeBytes = 0
      return
    }
    const until = this.#firstAfter(oldest.seq)
    for (let i = this.#head; i < until; i++) {
      const key = this.#keys[i] as KeyText
      if (this.#lastWrites.get(key) === this.#seqs[i]) this.#lastWrites.delete(key)
      this.#sizeBytes -= key.length + RECORD_OVERHEAD_BYTES
    }
    this.#head = until
    if (until >= TRIM_FROM && until * 2 > this.#keys.length) {
      this.#keys = this.#keys.slice(until)
      this.#seqs = this.#seqs.slice(until)
      this.#head = 0
    }
    let gone = 0
    for (; gone < this.#ranges.length; gone++) {
      const { seq, range } = this.#ranges[gone] as { seq: number; range: TextRange }
      if (seq > oldest.seq) break
      this.#sizeBytes -= rangeBytes(range)
    }
    if (gone > 0) this.#ranges = this.#ranges.slice(gone)
  }

  /** Position in `#keys` of the first write after `seq`. */
  #firstAfter(seq: number): number {
    let low = this.#head
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#seqs[middle] as number) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Somebody who wants to know what was written after one moment. Close it when done: it keeps records from going. */
export class ConflictWatch {
  /** The last write before the watch began. */
  readonly seq: number
  /** The window has forgotten writes that this watch should have known: all its answers are `written`. */
  overrun = false
  readonly #window: ConflictWindow

  /** Made by `ConflictWindow.watch`. */
  constructor(window: ConflictWindow, seq: number) {
    this.#window = window
    this.seq = seq
  }

  keyWritten(text: KeyText): boolean {
    return this.overrun || this.#window.keyWritten(text, this.seq)
  }

  /** A write in any of the ranges, which must have been merged; ask `overrun` before. */
  writtenIn(merged: readonly TextRange[]): { readonly range: TextRange; readonly key: KeyText } | undefined {
    return merged.length === 0 ? undefined : this.#window.writtenIn(merged, this.seq)
  }

  close(): void {
    this.#window.forget(this)
  }
}

function rangeBytes({ gte, lt }: TextRange): number {
  return gte.length + (lt?.length ?? 0) + RECORD_OVERHEAD_BYTES
}
