import { ByteWriter } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { ENVELOPED, expiryOf, KIND_MASK, NEVER, payloadStart, writeEnvelope } from '../batch/envelope.ts'
import type { ValueSeparator } from '../blob/value-separator.ts'
import { prefixOf, userKey } from '../key/keyspace.ts'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import { applyOperator } from '../merge/merge-operator.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import { wholeValue } from './whole-value.ts'

/** What decides which versions are needed still. */
export interface ReducerRules {
  /** Sequence numbers that must stay readable, ascending. */
  readonly snapshots: readonly number[]
  /** What has expired by this wall-clock millisecond is gone for every reader, those of the snapshots included. */
  readonly ttlNowMs: number
  readonly operators: MergeOperators
  /** The range tombstones of all sources. */
  readonly tombstones: RangeTombstones | undefined
  /** Whether no older version of a key can exist outside the sources. Asked with rising keys. */
  readonly isBottommost: (key: Uint8Array, keyStart: number, keyEnd: number) => boolean
  /** Has the separated values that operands are applied to. */
  readonly separator?: Pick<ValueSeparator, 'valueOf'> | undefined
}

/** Takes what is left of a key's versions, newest first. */
export interface VersionSink {
  /**
   * @param kind an EntryKind, with ENVELOPED where the value begins with an envelope
   * @param newest no newer version of the key is left, and none was dropped
   */
  keep(seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number, newest: boolean): void
}

interface Operand {
  readonly seq: number
  readonly expiresAtMs: number
  readonly payload: Uint8Array
  /** As it was found. */
  readonly kind: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * What a flush or a compaction leaves of the versions of a key, which are offered newest first.
 *
 * Snapshots cut the sequence numbers into stripes: (-, s1], (s1, s2], ..., (sn, now]. Within a stripe nobody can see more
 * than the newest version, so the others go:
 *
 * - A tombstone goes when nothing it hides can be anywhere below (`bottommost`) and no snapshot is older than it;
 *   everything it hid in this merge is in the same stripe and goes, too.
 * - What a range tombstone of the same stripe covers goes; the range tombstone itself is the builder's business.
 * - An expired value counts as a tombstone: simply dropping it would bring back what it hides. An expired operand goes.
 * - Merge operands are applied to the value they meet in their stripe. Where older versions may stand elsewhere, or in an
 *   older stripe, they are combined into one operand if their operator can do that. Operands that expire at different
 *   times, or whose operator is not at hand or fails, stay as they are: never is anything lost.
 */
export class VersionReducer {
  readonly #rules: ReducerRules
  readonly #sink: VersionSink
  readonly #operands: Operand[] = []
  readonly #scratch = new ByteWriter(64)
  #keyBytes: Uint8Array = NO_BYTES
  #keyStart = 0
  #keyEnd = 0
  /** The stripe that a version was met in last, with all that must be said about it said or in `#operands`. */
  #stripe = NO_STRIPE
  #newest = true
  #bottommost: boolean | undefined

  constructor(rules: ReducerRules, sink: VersionSink) {
    this.#rules = rules
    this.#sink = sink
  }

  /** Call before the first version of each key; the bytes must stay as they are until `endKey`. */
  startKey(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    this.#keyBytes = keyBytes
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
    this.#stripe = NO_STRIPE
    this.#newest = true
    this.#bottommost = undefined
  }

  version(seq: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    const { tombstones, ttlNowMs } = this.#rules
    let plain = kind & KIND_MASK
    let expiresAtMs = NEVER
    if (kind >= ENVELOPED) {
      expiresAtMs = expiryOf(bytes, start, end)
      if (expiresAtMs !== NEVER && expiresAtMs <= ttlNowMs) {
        this.#newest &&= plain !== EntryKind.merge
        if (plain === EntryKind.merge) return
        plain = EntryKind.delete
      }
    }
    const stripe = this.#stripeOf(seq)
    if (tombstones !== undefined) {
      const deletedSeq = tombstones.nextSeqAbove(this.#keyBytes, this.#keyStart, this.#keyEnd, seq)
      if (deletedSeq > 0 && this.#stripeOf(deletedSeq) === stripe) {
        this.#newest = false
        if (this.#operands.length > 0 && stripe === this.#stripe) this.#mergeOnto(undefined)
        return
      }
    }
    if (stripe === this.#stripe) {
      if (this.#operands.length === 0) return
      if (plain === EntryKind.merge) this.#push(seq, expiresAtMs, kind, bytes, start, end)
      else this.#mergeOnto({ seq, expiresAtMs, kind: plain === EntryKind.delete ? plain : kind, bytes, start, end })
      return
    }
    this.#keepOperands()
    this.#stripe = stripe
    if (plain === EntryKind.merge) this.#push(seq, expiresAtMs, kind, bytes, start, end)
    else if (plain === EntryKind.put) this.#keep(seq, kind, bytes, start, end)
    else this.#keepTombstone(seq)
  }

  /** Merge operands wait for what they are applied to: a separated value that comes now must be at hand. */
  get awaitsValue(): boolean {
    return this.#operands.length > 0
  }

  /** Call after the last version of each key. */
  endKey(): void {
    if (this.#operands.length === 0) return
    if (this.#isBottommost()) this.#mergeOnto(undefined)
    else this.#keepOperands()
  }

  #keep(seq: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    this.#sink.keep(seq, kind, bytes, start, end, this.#newest)
    this.#newest = false
  }

  #keepTombstone(seq: number): void {
    if (this.#stripe === 0 && this.#isBottommost()) this.#newest = false
    else this.#keep(seq, EntryKind.delete, NO_BYTES, 0, 0)
  }

  #push(seq: number, expiresAtMs: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    const from = kind < ENVELOPED ? start : payloadStart(bytes, start, end)
    this.#operands.push({ seq, expiresAtMs, payload: bytes.subarray(from, end), kind, bytes, start, end })
  }

  /** The operands have met what they are applied to: a value, a tombstone, or (undefined) nothing at all. */
  #mergeOnto(base: Omit<Operand, 'payload'> | undefined): void {
    const operands = this.#operands
    const newest = operands[0] as Operand
    const value = base === undefined || base.kind === EntryKind.delete ? undefined : base
    const { expiresAtMs } = newest
    const alike = (value === undefined || value.expiresAtMs === expiresAtMs) && operands.every((one) => one.expiresAtMs === expiresAtMs)
    const merged = alike ? this.#merged(value) : undefined
    if (merged !== undefined) {
      this.#keepValue(newest.seq, EntryKind.put, expiresAtMs, merged)
      operands.length = 0
      return
    }
    this.#keepOperands()
    if (value !== undefined) this.#keep(value.seq, value.kind, value.bytes, value.start, value.end)
    else if (base !== undefined) this.#keepTombstone(base.seq)
  }

  #merged(base: Omit<Operand, 'payload'> | undefined): Uint8Array | undefined {
    const operator = this.#operator()
    if (operator === undefined) return undefined
    let value: Uint8Array | undefined
    if (base !== undefined) {
      const { kind, bytes, start, end } = base
      value = wholeValue(kind, bytes, start, end, this.#rules.separator)
    }
    const operands = this.#operands.map(({ payload }) => payload).toReversed()
    return attempt(() => applyOperator(operator, this.#userKey(), value, operands))
  }

  /** The operands stay operands: those that live equally long become one. */
  #keepOperands(): void {
    const operands = this.#operands
    if (operands.length === 0) return
    const combine = operands.length < 2 ? undefined : this.#operator()?.combine
    for (let first = 0; first < operands.length; ) {
      const { seq, expiresAtMs, kind, bytes, start, end } = operands[first] as Operand
      let after = first + 1
      if (combine !== undefined) while (operands[after]?.expiresAtMs === expiresAtMs) after++
      const group = operands.slice(first, after)
      const payloads = group.map(({ payload }) => payload).toReversed()
      const one = combine === undefined || group.length < 2 ? undefined : attempt(() => combine(this.#userKey(), payloads))
      if (one instanceof Uint8Array) this.#keepValue(seq, EntryKind.merge, expiresAtMs, one)
      else {
        this.#keep(seq, kind, bytes, start, end)
        for (const older of group.slice(1)) this.#keep(older.seq, older.kind, older.bytes, older.start, older.end)
      }
      first = after
    }
    operands.length = 0
  }

  #keepValue(seq: number, kind: number, expiresAtMs: number, payload: Uint8Array): void {
    if (expiresAtMs === NEVER) {
      this.#keep(seq, kind, payload, 0, payload.length)
      return
    }
    this.#scratch.clear()
    writeEnvelope(this.#scratch, expiresAtMs, false)
    const bytes = this.#scratch.bytes(payload).view()
    this.#keep(seq, kind | ENVELOPED, bytes, 0, bytes.length)
  }

  #operator(): MergeOperator | undefined {
    return this.#rules.operators.of(this.#keyBytes.subarray(this.#keyStart, this.#keyEnd))
  }

  #userKey(): Uint8Array {
    const stored = this.#keyBytes.slice(this.#keyStart, this.#keyEnd)
    return userKey(prefixOf(stored), stored)
  }

  #isBottommost(): boolean {
    this.#bottommost ??= this.#rules.isBottommost(this.#keyBytes, this.#keyStart, this.#keyEnd)
    return this.#bottommost
  }

  /** Index of the first snapshot that can see the version; the number of snapshots when only the present can. */
  #stripeOf(seq: number): number {
    const { snapshots } = this.#rules
    let stripe = 0
    while (stripe < snapshots.length && (snapshots[stripe] as number) < seq) stripe++
    return stripe
  }
}

/** Undefined when it throws: an operator that fails must not stop a compaction, reads will tell. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

const NO_STRIPE = -1
const NO_BYTES = new Uint8Array(0)
