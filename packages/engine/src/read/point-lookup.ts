import { type DataBlock, EntryKind, filterHash, type SstMetadata } from '@moraine/sstable'
import { ENVELOPED, envelopedKind, expiryOf, isBlobReference, KIND_MASK, NEVER, payloadStart } from '../batch/envelope.ts'
import { type BlobReference, readReference } from '../blob/blob-reference.ts'
import { prefixOf, userKey } from '../key/keyspace.ts'
import type { Memtable } from '../memtable/memtable.ts'
import { MEMO_LEAST_OPERANDS, MergeMemo } from '../merge/merge-memo.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import { OperandStack } from '../merge/operand-stack.ts'
import { endsBefore, startsAfter, type TableFile } from '../manifest/table-file.ts'
import { findInRun } from '../manifest/version.ts'
import type { TableHandle } from '../table/table-handle.ts'
import type { TableStore } from '../table/table-store.ts'
import type { ReadView } from './read-view.ts'

/** How a lookup ended. `blocked`: only I/O can tell; {@link PointLookup.load} fetches what is missing. */
export type LookupState = 'found' | 'absent' | 'blocked'

/** Pieces that a waiting lookup holds itself, so that eviction meanwhile cannot send it in circles. */
export class HeldPieces {
  readonly #metadata = new Map<TableHandle, SstMetadata>()
  #value: { readonly reference: BlobReference; readonly bytes: Uint8Array } | undefined
  readonly #blocks: { handle: TableHandle; ordinal: number; block: DataBlock }[] = []

  metadata(handle: TableHandle): SstMetadata | undefined {
    return this.#metadata.get(handle)
  }

  block(handle: TableHandle, ordinal: number): DataBlock | undefined {
    return this.#blocks.find((held) => held.handle === handle && held.ordinal === ordinal)?.block
  }

  value({ id, offset }: BlobReference): Uint8Array | undefined {
    const held = this.#value
    return held?.reference.id === id && held.reference.offset === offset ? held.bytes : undefined
  }

  holdValue(reference: BlobReference, bytes: Uint8Array): void {
    this.#value = { reference, bytes }
  }

  holdMetadata(handle: TableHandle, metadata: SstMetadata): void {
    this.#metadata.set(handle, metadata)
  }

  holdBlock(handle: TableHandle, ordinal: number, block: DataBlock): void {
    this.#blocks.push({ handle, ordinal, block })
  }
}

/** What lookups need beside the tables. */
export interface LookupRules {
  /** The time of a read of the present: what has expired by then is not to be seen. */
  readonly nowMs: () => number
  readonly operators: MergeOperators
}

/** Stands for the present where a lookup takes a time. */
export const PRESENT = -1

/** Merged values that are remembered. */
const MEMO_BYTES = 2 * 1024 * 1024

/**
 * Point lookups that never wait: memtables, then level 0 from the newest table, then one table of each deeper level; the
 * first version found that is not newer than the snapshot is the answer, unless it is a merge operand: then the older
 * versions follow until one that is not. For any key, an earlier place is newer than a later one, so a range tombstone ends
 * the search when its own place has been searched. The result stands in the fields, so that a hit allocates nothing; one
 * object serves all lookups of a database, because a lookup is synchronous.
 */
export class PointLookup {
  /** The found value, when the state is `found`. A tombstone is `absent`. */
  valueBytes: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  /** Sequence number of the newest write that makes the value. */
  seq = 0
  /** From this wall-clock millisecond on there is no value; NEVER when there always is. */
  expiresAtMs: number = NEVER

  readonly #tables: TableStore
  readonly #rules: LookupRules
  readonly #memo = new MergeMemo(MEMO_BYTES)
  readonly #operands = new OperandStack()
  #held: HeldPieces | undefined
  #key: Uint8Array = EMPTY
  #keyStart = 0
  #keyEnd = 0
  #timeMs = PRESENT
  /** Something with an expiry was met, whether it counts or not. */
  #sawExpiry = false
  #hash = -1
  #blockedHandle: TableHandle | undefined
  /** The block that is missing, or -1 when it is the table's metadata. */
  #blockedOrdinal = -1
  /** The value in a blob file that is missing, when that is all. */
  #blockedValue: BlobReference | undefined

  constructor(tables: TableStore, rules: LookupRules) {
    this.#tables = tables
    this.#rules = rules
  }

  /** @param timeMs what has expired by then is not seen; {@link PRESENT}: now */
  run(
    view: ReadView,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    seq: number,
    timeMs: number,
    held?: HeldPieces,
  ): LookupState {
    this.#key = key
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
    this.#timeMs = timeMs
    this.expiresAtMs = NEVER
    this.#sawExpiry = false
    if (this.#operands.size > 0) this.#operands.clear()
    let state = this.#probeMemtable(view.active, seq)
    if (state !== undefined) return state
    for (const memtable of view.sealed) {
      state = this.#probeMemtable(memtable, seq)
      if (state !== undefined) return state
    }
    this.#held = held
    this.#hash = -1
    const { levels } = view.version
    for (const file of levels[0] as readonly TableFile[]) {
      if (startsAfter(file, key, keyStart, keyEnd) || endsBefore(file, key, keyStart, keyEnd)) continue
      if (file.smallestSeq > seq) continue
      state = this.#probeTable(file, seq)
      if (state !== undefined) return state
    }
    for (let level = 1; level < levels.length; level++) {
      const files = levels[level] as readonly TableFile[]
      if (files.length === 0) continue
      const file = fileOfKey(files, key, keyStart, keyEnd)
      if (file === undefined) continue
      state = this.#probeTable(file, seq)
      if (state !== undefined) return state
    }
    return this.#endedWithoutBase()
  }

  /** Fetches what the last `run` was blocked on and gives it to `held`. Call it right after, before another `run`. */
  async load(held: HeldPieces): Promise<void> {
    const reference = this.#blockedValue
    if (reference !== undefined) {
      held.holdValue(reference, await this.#tables.blobs.load(reference))
      return
    }
    const handle = this.#blockedHandle as TableHandle
    const ordinal = this.#blockedOrdinal
    if (ordinal < 0) {
      held.holdMetadata(handle, await this.#tables.loadMetadata(handle))
      return
    }
    const metadata = handle.metadata ?? held.metadata(handle) ?? (await this.#tables.loadMetadata(handle))
    held.holdBlock(handle, ordinal, await this.#tables.loadBlock(handle, metadata, ordinal))
  }

  #probeMemtable(memtable: Memtable, seq: number): LookupState | undefined {
    const tombstones = memtable.rangeTombstones
    const deletedSeq = tombstones === undefined ? 0 : tombstones.coveringSeq(this.#key, this.#keyStart, this.#keyEnd, seq)
    let found = memtable.find(this.#key, this.#keyStart, this.#keyEnd, seq)
    while (found >= 0) {
      const foundSeq = memtable.seqOf(found)
      if (foundSeq < deletedSeq) break
      const start = memtable.valueStartOf(found)
      const state = this.#take(foundSeq, memtable.kindOf(found), memtable.valueBytesOf(found), start, memtable.valueEndOf(found))
      if (state !== undefined) return state
      found = memtable.olderOf(found)
    }
    return this.#tableEnded(deletedSeq)
  }

  #probeTable(file: TableFile, seq: number): LookupState | undefined {
    const handle = this.#tables.handle(file)
    const metadata = handle.metadata ?? this.#held?.metadata(handle)
    if (metadata === undefined) return this.#block(handle, -1)
    handle.metadataUsed = true
    const key = this.#key
    const keyStart = this.#keyStart
    const keyEnd = this.#keyEnd
    const deletedSeq =
      file.rangeTombstoneCount === undefined
        ? 0
        : this.#tables.rangeTombstones(handle, metadata).coveringSeq(key, keyStart, keyEnd, seq)
    if (metadata.filter !== undefined) {
      if (this.#hash < 0) this.#hash = filterHash(key, keyStart, keyEnd)
      if (!metadata.filter.mayContain(this.#hash)) return this.#tableEnded(deletedSeq)
    }
    for (let upTo = seq; ; ) {
      const ordinal = metadata.index.findBlock(key, keyStart, keyEnd, upTo)
      if (ordinal >= metadata.index.blockCount) return this.#tableEnded(deletedSeq)
      // First what this lookup has fetched itself: coming back for it is no second use.
      let block = this.#held?.block(handle, ordinal)
      if (block === undefined) {
        const cached = handle.blocks[ordinal]
        if (cached === undefined) return this.#block(handle, ordinal)
        cached.used = true
        block = cached.block
      }
      const at = block.findKey(key, keyStart, keyEnd, upTo)
      if (at < 0) return this.#tableEnded(deletedSeq)
      const foundSeq = block.seq(at)
      if (foundSeq < deletedSeq) return this.#tableEnded(deletedSeq)
      const kind = file.enveloped === true ? envelopedKind(block.kind(at)) : block.kind(at)
      const state = this.#take(foundSeq, kind, block.valueBytes, block.valueStart(at), block.valueEnd(at))
      if (state !== undefined || foundSeq === 0) return state
      upTo = foundSeq - 1
    }
  }

  /** A table has nothing more of the key; a range tombstone in it ends the search in all older places. */
  #tableEnded(deletedSeq: number): LookupState | undefined {
    return deletedSeq > 0 ? this.#endedWithoutBase() : undefined
  }

  /** Takes the next older version in; undefined when older ones are needed as well. */
  #take(seq: number, kind: number, bytes: Uint8Array, start: number, end: number): LookupState | undefined {
    if (kind === EntryKind.put) {
      this.expiresAtMs = NEVER
      return this.#endedWith(seq, bytes, start, end)
    }
    if (kind === EntryKind.delete) return this.#endedWithoutBase()
    let from = start
    if (kind >= ENVELOPED) {
      const expiresAtMs = expiryOf(bytes, start, end)
      if (expiresAtMs !== NEVER) this.#sawExpiry = true
      const expired = expiresAtMs !== NEVER && expiresAtMs <= this.#now()
      // An expired value hides what is older, as a tombstone would; an expired operand just does nothing any more.
      if (expired) return (kind & KIND_MASK) === EntryKind.put ? this.#endedWithoutBase() : undefined
      this.expiresAtMs = this.#operands.size === 0 ? expiresAtMs : Math.max(this.expiresAtMs, expiresAtMs)
      from = payloadStart(bytes, start, end)
      if ((kind & KIND_MASK) === EntryKind.put) {
        return isBlobReference(bytes, start, end) ? this.#endedWithSeparated(seq, bytes, from, end) : this.#endedWith(seq, bytes, from, end)
      }
    } else {
      this.expiresAtMs = NEVER
    }
    this.#operands.push(bytes, from, end, seq)
    const known = this.#memo.get(this.#memoKey())
    if (known?.seq !== seq) return undefined
    if (this.#operands.size === 1) return this.#show(seq, known.value, 0, known.value.length)
    this.#operands.pop()
    return this.#merged(known.value)
  }

  #now(): number {
    if (this.#timeMs < 0) this.#timeMs = this.#rules.nowMs()
    return this.#timeMs
  }

  #endedWith(seq: number, bytes: Uint8Array, start: number, end: number): LookupState {
    return this.#operands.size === 0 ? this.#show(seq, bytes, start, end) : this.#merged(bytes.subarray(start, end))
  }

  /** The value lies in a blob file, to which the bytes refer. */
  #endedWithSeparated(seq: number, bytes: Uint8Array, start: number, end: number): LookupState {
    const reference = readReference(bytes, start, end)
    const value = this.#tables.blobs.resident(reference) ?? this.#held?.value(reference)
    if (value !== undefined) return this.#endedWith(seq, value, 0, value.length)
    this.#blockedValue = reference
    return 'blocked'
  }

  #endedWithoutBase(): LookupState {
    return this.#operands.size === 0 ? 'absent' : this.#merged(undefined)
  }

  #merged(base: Uint8Array | undefined): LookupState {
    const operands = this.#operands
    const key = this.#key.slice(this.#keyStart, this.#keyEnd)
    const operator = this.#rules.operators.of(key)
    const seq = operands.newestSeq
    const value = operands.applyTo(operator, userKey(prefixOf(key), key), base)
    // What expires is another value tomorrow.
    const lasting = !this.#sawExpiry
    if (lasting && operands.size >= MEMO_LEAST_OPERANDS) this.#memo.set(this.#memoKey(), { seq, value })
    return this.#show(seq, value, 0, value.length)
  }

  #show(seq: number, bytes: Uint8Array, start: number, end: number): LookupState {
    this.seq = seq
    this.valueBytes = bytes
    this.valueStart = start
    this.valueEnd = end
    return 'found'
  }

  #memoKey(): string {
    const { buffer, byteOffset } = this.#key
    return Buffer.from(buffer, byteOffset + this.#keyStart, this.#keyEnd - this.#keyStart).toString('latin1')
  }

  #block(handle: TableHandle, ordinal: number): LookupState {
    this.#blockedHandle = handle
    this.#blockedValue = undefined
    this.#blockedOrdinal = ordinal
    return 'blocked'
  }
}

/** The one table of a sorted run whose key range holds the key. */
function fileOfKey(files: readonly TableFile[], key: Uint8Array, keyStart: number, keyEnd: number): TableFile | undefined {
  const file = files[findInRun(files, key, keyStart, keyEnd)]
  if (file === undefined) return undefined
  return startsAfter(file, key, keyStart, keyEnd) ? undefined : file
}

const EMPTY = new Uint8Array(0)
