import { ByteWriter, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { encodeOperation } from '../batch/batch-codec.ts'
import { ENVELOPED, writeEnvelope } from '../batch/envelope.ts'
import { MAX_BATCH_BYTES } from '../batch/write-batch.ts'
import { keyOfText, type KeyText } from '../key/key-text.ts'
import { holdsText, mergeRanges, rangeHolding, type TextRange } from '../key/text-range.ts'

/** What a transaction has done to a key and nobody else knows yet; without a value the key is deleted. */
export interface OwnWrite {
  readonly value: Uint8Array | undefined
  /** How long it lives once it is committed; undefined: as its keyspace says. */
  readonly ttlMs?: number | undefined
}

/** Own writes as they are to be applied. Expiries are relative, as in a WriteBatch. */
export interface OwnOperations {
  readonly operations: Uint8Array
  readonly count: number
  readonly hasTtl: boolean
}

/** The own writes of one moment, as a scan needs them: later ones do not change it. */
export interface OwnEntries {
  /** Ascending. */
  readonly entries: readonly (readonly [key: KeyText, value: Uint8Array | undefined])[]
  /** What the snapshot has in these ranges is deleted. */
  readonly deleted: readonly TextRange[]
}

const DELETED: OwnWrite = { value: undefined }

/**
 * The uncommitted writes of a transaction, laid over its snapshot:
 *
 *     a key that was written    its last write, whatever the ranges below say
 *     a key in a deleted range  absent
 *     any other key             what the snapshot says
 *
 * A range delete removes the keys written before it that it covers, so that no order has to be remembered: the batch
 * deletes the ranges first, then come the keys. Merge operands would stand in `OwnWrite` as a list, over a value of the
 * transaction's own or, without one, over what the snapshot says; a read of such a key depends on the snapshot and has to
 * be tracked. With keyspaces the keys here are those with their prefixes.
 */
export class OwnWrites {
  readonly #writes = new Map<KeyText, OwnWrite>()
  /** Merged. */
  #deleted: readonly TextRange[] = []
  /** The keys of `#writes` in order; those that came since it was made are missing. */
  #sorted: KeyText[] = []
  #unsorted: KeyText[] = []

  get isEmpty(): boolean {
    return this.#writes.size === 0 && this.#deleted.length === 0
  }

  get keys(): IterableIterator<KeyText> {
    return this.#writes.keys()
  }

  /** Merged ranges that are deleted whole. */
  get deletedRanges(): readonly TextRange[] {
    return this.#deleted
  }

  /** The value is kept, not copied. */
  put(key: KeyText, value: Uint8Array, ttlMs?: number): void {
    this.#set(key, { value, ttlMs })
  }

  delete(key: KeyText): void {
    this.#set(key, DELETED)
  }

  /** Both bounds of the range must be there: a keyspace ends somewhere. */
  deleteRange(range: TextRange): void {
    for (const [key] of this.entriesIn(range).entries) this.#writes.delete(key)
    this.#sorted = this.#sorted.filter((key) => this.#writes.has(key))
    this.#deleted = mergeRanges([...this.#deleted, range])
  }

  /** What a read of the key gives; undefined when only the snapshot can tell. */
  find(key: KeyText): OwnWrite | undefined {
    const write = this.#writes.get(key)
    if (write !== undefined || this.#deleted.length === 0) return write
    return rangeHolding(this.#deleted, key) === undefined ? undefined : DELETED
  }

  entriesIn(range: TextRange): OwnEntries {
    if (this.#unsorted.length > 0) {
      // Two sorted stretches, one of them short, are close to no work for the built-in sort.
      this.#sorted = [...this.#sorted, ...this.#unsorted.sort()].sort()
      this.#unsorted = []
    }
    const entries: [KeyText, Uint8Array | undefined][] = []
    for (let i = firstFrom(this.#sorted, range.gte); i < this.#sorted.length; i++) {
      const key = this.#sorted[i] as KeyText
      if (!holdsText(range, key)) break
      entries.push([key, this.#writes.get(key)?.value])
    }
    return { entries, deleted: this.#deleted }
  }

  /** The writes as one batch; a key that was written many times is in it once. INVALID when that is too large. */
  toOperations(): OwnOperations {
    const writer = new ByteWriter(1024)
    const enveloped = new ByteWriter(64)
    let hasTtl = false
    const append = (kind: number, key: KeyText, value: Uint8Array): void => {
      if (writer.length + key.length + value.length + 16 > MAX_BATCH_BYTES) {
        throw new MoraineError('INVALID', 'a transaction may write at most 2 GiB; do it in smaller ones')
      }
      encodeOperation(writer, kind, keyOfText(key), 0, key.length, value, 0, value.length)
    }
    for (const { gte, lt } of this.#deleted) append(EntryKind.deleteRange, gte, keyOfText(lt as KeyText))
    for (const [key, { value, ttlMs }] of this.#writes) {
      if (value === undefined) append(EntryKind.delete, key, NOTHING)
      else if (ttlMs === undefined) append(EntryKind.put, key, value)
      else {
        hasTtl = true
        enveloped.clear()
        writeEnvelope(enveloped, ttlMs, false)
        append(EntryKind.put | ENVELOPED, key, enveloped.bytes(value).view())
      }
    }
    return { operations: writer.view(), count: this.#deleted.length + this.#writes.size, hasTtl }
  }

  #set(key: KeyText, write: OwnWrite): void {
    if (!this.#writes.has(key)) this.#unsorted.push(key)
    this.#writes.set(key, write)
  }
}

const NOTHING = new Uint8Array(0)

function firstFrom(sorted: readonly KeyText[], from: KeyText): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as KeyText) < from) low = middle + 1
    else high = middle
  }
  return low
}
