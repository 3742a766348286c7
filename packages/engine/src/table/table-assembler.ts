import { ByteWriter, compareBytes, compareRanges, MoraineError } from '@moraine/base'
import { EntryKind, SstWriter } from '@moraine/sstable'
import { ENVELOPED, expiryOf, isBlobReference, KIND_MASK, NEVER, payloadStart, writeEnvelope } from '../batch/envelope.ts'
import { type BlobReference, readReference, writeReference } from '../blob/blob-reference.ts'
import { NO_TABLE_BLOBS } from '../blob/value-separator.ts'
import { keyspaceOf, prefixLength, userKey } from '../key/keyspace.ts'
import type { TombstoneFragment } from '../key/range-tombstones.ts'
import { askFilter } from './compaction-filter.ts'
import type { BuildRequest } from './build-request.ts'
import type { BuiltTable } from './built-table.ts'
import { retainedTombstones } from './tombstone-feed.ts'
import { wholeValue } from './whole-value.ts'
import type { VersionSink } from './version-reducer.ts'

/** A range tombstone whose range the keys have reached: what of it is in no table yet. */
interface OpenFragment {
  from: Uint8Array
  readonly end: Uint8Array
  readonly seqs: readonly number[]
}

/**
 * Puts entries and range tombstones into tables. Keys come in order; a table ends where it is large enough or the keyspace
 * does, and a range tombstone that reaches past that point is cut there and goes on in the next table:
 *
 *     keys          a   c   d | f   h   k | p
 *     tombstone       [-------|-------)   |
 *     tables        (a..f)     [f..p)      [p..
 */
export class TableAssembler implements VersionSink {
  /** Tables that nobody has taken yet. */
  readonly finished: BuiltTable[] = []
  readonly #request: BuildRequest
  readonly #fragments: readonly TombstoneFragment[]
  readonly #scratch = new ByteWriter(64)
  #nextFragment = 0
  #open: OpenFragment | undefined
  #parts: Uint8Array[] = []
  #writer: SstWriter | undefined
  /** Name and stored prefix of the keyspace that the keys are in. */
  #keyspace = ''
  #prefix: Uint8Array = NO_BYTES
  #keyBytes: Uint8Array = NO_BYTES
  #keyStart = 0
  #keyEnd = 0
  /** Of the open table: the latest expiry of its values, and whether it has values at all. */
  #expiresAtMs = 0

  constructor(request: BuildRequest) {
    this.#request = request
    const { tombstones, snapshots, isRangeBottommost } = request
    this.#fragments = tombstones === undefined ? [] : retainedTombstones(tombstones, snapshots, isRangeBottommost)
  }

  /** Call before what is kept of each key; the bytes must stay as they are until the next call. */
  startKey(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    for (;;) {
      const fragment = this.#fragments[this.#nextFragment]
      if (fragment === undefined || compareRanges(fragment.start, 0, fragment.start.length, keyBytes, keyStart, keyEnd) > 0) break
      this.#openFragment(fragment)
    }
    this.#moveTo(keyBytes, keyStart, keyEnd)
    this.#keyBytes = keyBytes
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
  }

  /** Whether the filter may have to see a value with this sequence number: then a separated one must be at hand. */
  mayFilter(seq: number): boolean {
    const { filters, snapshots } = this.#request
    return filters !== undefined && seq > (snapshots.at(-1) ?? -1) && filters.of(this.#keyspace) !== undefined
  }

  keep(seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number, newest: boolean): void {
    const { filters, snapshots } = this.#request
    const filtered = newest && filters !== undefined && (kind & KIND_MASK) === EntryKind.put && seq > (snapshots.at(-1) ?? -1)
    if (filtered) this.#keepFiltered(seq, kind, value, valueStart, valueEnd)
    else this.#add(seq, kind, value, valueStart, valueEnd)
  }

  /** No key comes any more. */
  end(): void {
    for (;;) {
      const fragment = this.#fragments[this.#nextFragment]
      if (fragment === undefined) break
      this.#openFragment(fragment)
    }
    if (this.#open !== undefined) this.#closeFragment(this.#open.end)
    this.#open = undefined
    if (this.#writer !== undefined) this.#finish(this.#writer, undefined)
  }

  #openFragment({ start, end, seqs }: TombstoneFragment): void {
    this.#nextFragment++
    this.#moveTo(start, 0, start.length)
    this.#open = { from: start, end, seqs }
  }

  /** Everything before this key has been offered. */
  #moveTo(key: Uint8Array, keyStart: number, keyEnd: number): void {
    const open = this.#open
    if (open !== undefined && compareRanges(open.end, 0, open.end.length, key, keyStart, keyEnd) <= 0) {
      this.#closeFragment(open.end)
      this.#open = undefined
    }
    const otherKeyspace = this.#enterKeyspace(key, keyStart, keyEnd)
    const writer = this.#writer
    if (writer === undefined) return
    if (otherKeyspace) this.#finish(writer, this.#prefix)
    else if (this.#sizeBytes(writer) >= this.#request.targetSizeBytes) this.#finish(writer, key.slice(keyStart, keyEnd))
  }

  /** Of the table, or of the blob file beside it when that is larger: memory holds both. */
  #sizeBytes(writer: SstWriter): number {
    return Math.max(writer.estimatedSizeBytes, this.#request.separator?.writtenBytes ?? 0)
  }

  #enterKeyspace(key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    const length = prefixLength(key, keyStart, keyEnd)
    const same = length === this.#prefix.length && compareRanges(key, keyStart, keyStart + length, this.#prefix, 0, length) === 0
    if (same) return false
    this.#prefix = key.slice(keyStart, keyStart + length)
    this.#keyspace = keyspaceOf(this.#prefix)
    return true
  }

  #closeFragment(end: Uint8Array): void {
    const { from, seqs } = this.#open as OpenFragment
    if (compareBytes(from, end) >= 0) return
    const writer = this.#tableWriter()
    for (const seq of seqs) writer.addRangeTombstone(from, end, seq)
  }

  /** @param boundary where the next table begins; undefined when there is none */
  #finish(writer: SstWriter, boundary: Uint8Array | undefined): void {
    if (this.#open !== undefined && boundary !== undefined) {
      this.#closeFragment(boundary)
      this.#open.from = boundary
    }
    const summary = writer.finish()
    const expiresAtMs = this.#expiresAtMs === 0 || this.#expiresAtMs === NEVER ? undefined : this.#expiresAtMs
    const blobs = this.#request.separator?.take() ?? NO_TABLE_BLOBS
    this.finished.push({ parts: this.#parts, summary, blobs, enveloped: this.#request.enveloped, expiresAtMs, nextKey: boundary })
    this.#writer = undefined
    this.#parts = []
    this.#expiresAtMs = 0
  }

  #tableWriter(): SstWriter {
    if (this.#writer === undefined) {
      const parts = this.#parts
      const settings = { ...this.#request.writerOf(this.#keyspace), enveloped: this.#request.enveloped }
      this.#writer = new SstWriter(settings, (chunk) => parts.push(chunk))
    }
    return this.#writer
  }

  #add(seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number): void {
    const writer = this.#writer ?? this.#tableWriter()
    const plain = kind & KIND_MASK
    if (plain === EntryKind.delete) {
      writer.add(this.#keyBytes, this.#keyStart, this.#keyEnd, seq, plain, NO_BYTES, 0, 0)
      return
    }
    const expiresAtMs = kind < ENVELOPED ? NEVER : expiryOf(value, valueStart, valueEnd)
    if (expiresAtMs > this.#expiresAtMs) this.#expiresAtMs = expiresAtMs
    const separated = plain === EntryKind.put ? this.#separate(kind, expiresAtMs, value, valueStart, valueEnd) : undefined
    if (separated === undefined && this.#request.enveloped === kind >= ENVELOPED) {
      writer.add(this.#keyBytes, this.#keyStart, this.#keyEnd, seq, plain, value, valueStart, valueEnd)
      return
    }
    if (!this.#request.enveloped) throw new MoraineError('INTERNAL', 'a value with an envelope comes to a table that declares none')
    const enveloped = separated ?? this.#envelop(NEVER, value, valueStart, valueEnd)
    writer.add(this.#keyBytes, this.#keyStart, this.#keyEnd, seq, plain, enveloped, 0, enveloped.length)
  }

  /** What stands for a large value that lies in a blob file from now on; undefined when the value is to stand as it is. */
  #separate(kind: number, expiresAtMs: number, bytes: Uint8Array, start: number, end: number): Uint8Array | undefined {
    const { separator, writerOf } = this.#request
    if (separator === undefined) return undefined
    const from = kind < ENVELOPED ? start : payloadStart(bytes, start, end)
    let reference: BlobReference
    if (kind >= ENVELOPED && isBlobReference(bytes, start, end)) {
      const before = readReference(bytes, from, end)
      reference = separator.pass(before)
      if (reference === before) return undefined
    } else {
      if (!separator.separates(this.#keyspace, end - from)) return undefined
      reference = separator.write(bytes, from, end, writerOf(this.#keyspace).compression)
    }
    this.#scratch.clear()
    writeEnvelope(this.#scratch, expiresAtMs, true)
    writeReference(this.#scratch, reference)
    return this.#scratch.view()
  }

  #envelop(expiresAtMs: number, payload: Uint8Array, start: number, end: number): Uint8Array {
    this.#scratch.clear()
    writeEnvelope(this.#scratch, expiresAtMs, false)
    return this.#scratch.range(payload, start, end).view()
  }

  /** Asks the filter of the keyspace about a value that only the present can see. */
  #keepFiltered(seq: number, kind: number, bytes: Uint8Array, start: number, end: number): void {
    const { filters, snapshots, isBottommost } = this.#request
    const filter = filters?.of(this.#keyspace)
    if (filter === undefined) {
      this.#add(seq, kind, bytes, start, end)
      return
    }
    const bottommost = isBottommost(this.#keyBytes, this.#keyStart, this.#keyEnd)
    const stored = this.#keyBytes.slice(this.#keyStart, this.#keyEnd)
    const value = wholeValue(kind, bytes, start, end, this.#request.separator)
    const verdict = askFilter(filter, new Uint8Array(userKey(this.#prefix, stored)), new Uint8Array(value), {
      outputLevel: filters?.outputLevel ?? 0,
      bottommost,
    })
    if (verdict === 'keep') {
      this.#add(seq, kind, bytes, start, end)
    } else if (verdict === 'remove') {
      // Simply dropping it would bring back the older versions that it hides; a snapshot may keep some in this very merge.
      if (!bottommost || snapshots.length > 0) this.#add(seq, EntryKind.delete, NO_BYTES, 0, 0)
    } else if (kind < ENVELOPED) {
      this.#add(seq, EntryKind.put, verdict.replace, 0, verdict.replace.length)
    } else {
      const expiresAtMs = expiryOf(bytes, start, end)
      const enveloped = this.#envelop(expiresAtMs, verdict.replace, 0, verdict.replace.length)
      this.#add(seq, EntryKind.put | ENVELOPED, enveloped, 0, enveloped.length)
    }
  }
}

const NO_BYTES = new Uint8Array(0)
