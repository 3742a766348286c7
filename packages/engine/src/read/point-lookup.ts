import { type DataBlock, EntryKind, filterHash, type SstMetadata } from '@moraine/sstable'
import type { Memtable } from '../memtable/memtable.ts'
import { endsBefore, startsAfter, type TableFile } from '../manifest/table-file.ts'
import type { TableHandle } from '../table/table-handle.ts'
import type { TableStore } from '../table/table-store.ts'
import type { ReadView } from './read-view.ts'

/** How a lookup ended. `blocked`: only I/O can tell; {@link PointLookup.load} fetches what is missing. */
export type LookupState = 'found' | 'absent' | 'blocked'

/** Pieces that a waiting lookup holds itself, so that eviction meanwhile cannot send it in circles. */
export class HeldPieces {
  readonly #metadata = new Map<TableHandle, SstMetadata>()
  readonly #blocks: { handle: TableHandle; ordinal: number; block: DataBlock }[] = []

  metadata(handle: TableHandle): SstMetadata | undefined {
    return this.#metadata.get(handle)
  }

  block(handle: TableHandle, ordinal: number): DataBlock | undefined {
    return this.#blocks.find((held) => held.handle === handle && held.ordinal === ordinal)?.block
  }

  holdMetadata(handle: TableHandle, metadata: SstMetadata): void {
    this.#metadata.set(handle, metadata)
  }

  holdBlock(handle: TableHandle, ordinal: number, block: DataBlock): void {
    this.#blocks.push({ handle, ordinal, block })
  }
}

/**
 * Point lookups that never wait: memtables, then level 0 from the newest table, then one table of each deeper level; the
 * first version found that is not newer than the snapshot is the answer. The result stands in the fields, so that a
 * hit allocates nothing; one object serves all lookups of a database, because a lookup is synchronous.
 */
export class PointLookup {
  /** The found version, when the state is `found`. A tombstone is `absent`. */
  valueBytes: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  seq = 0

  readonly #tables: TableStore
  #held: HeldPieces | undefined
  #hash = -1
  #blockedHandle: TableHandle | undefined
  /** The block that is missing, or -1 when it is the table's metadata. */
  #blockedOrdinal = -1

  constructor(tables: TableStore) {
    this.#tables = tables
  }

  run(view: ReadView, key: Uint8Array, keyStart: number, keyEnd: number, seq: number, held?: HeldPieces): LookupState {
    let state = this.#probeMemtable(view.active, key, keyStart, keyEnd, seq)
    if (state !== undefined) return state
    for (const memtable of view.sealed) {
      state = this.#probeMemtable(memtable, key, keyStart, keyEnd, seq)
      if (state !== undefined) return state
    }
    this.#held = held
    this.#hash = -1
    const { levels } = view.version
    for (const file of levels[0] as readonly TableFile[]) {
      if (startsAfter(file, key, keyStart, keyEnd) || endsBefore(file, key, keyStart, keyEnd)) continue
      if (file.smallestSeq > seq) continue
      state = this.#probeTable(file, key, keyStart, keyEnd, seq)
      if (state !== undefined) return state
    }
    for (let level = 1; level < levels.length; level++) {
      const files = levels[level] as readonly TableFile[]
      if (files.length === 0) continue
      const file = fileOfKey(files, key, keyStart, keyEnd)
      if (file === undefined) continue
      state = this.#probeTable(file, key, keyStart, keyEnd, seq)
      if (state !== undefined) return state
    }
    return 'absent'
  }

  /** Fetches what the last `run` was blocked on and gives it to `held`. Call it right after, before another `run`. */
  async load(held: HeldPieces): Promise<void> {
    const handle = this.#blockedHandle as TableHandle
    const ordinal = this.#blockedOrdinal
    if (ordinal < 0) {
      held.holdMetadata(handle, await this.#tables.loadMetadata(handle))
      return
    }
    const metadata = handle.metadata ?? held.metadata(handle) ?? (await this.#tables.loadMetadata(handle))
    held.holdBlock(handle, ordinal, await this.#tables.loadBlock(handle, metadata, ordinal))
  }

  #probeMemtable(memtable: Memtable, key: Uint8Array, keyStart: number, keyEnd: number, seq: number): LookupState | undefined {
    const found = memtable.find(key, keyStart, keyEnd, seq)
    if (found < 0) return undefined
    if (memtable.kindOf(found) === EntryKind.delete) return 'absent'
    this.valueBytes = memtable.valueBytesOf(found)
    this.valueStart = memtable.valueStartOf(found)
    this.valueEnd = memtable.valueEndOf(found)
    this.seq = memtable.seqOf(found)
    return 'found'
  }

  #probeTable(file: TableFile, key: Uint8Array, keyStart: number, keyEnd: number, seq: number): LookupState | undefined {
    const handle = this.#tables.handle(file)
    const metadata = handle.metadata ?? this.#held?.metadata(handle)
    if (metadata === undefined) return this.#block(handle, -1)
    handle.metadataUsed = true
    if (metadata.filter !== undefined) {
      if (this.#hash < 0) this.#hash = filterHash(key, keyStart, keyEnd)
      if (!metadata.filter.mayContain(this.#hash)) return undefined
    }
    const ordinal = metadata.index.findBlock(key, keyStart, keyEnd, seq)
    if (ordinal >= metadata.index.blockCount) return undefined
    const cached = handle.blocks[ordinal]
    let block: DataBlock | undefined
    if (cached !== undefined) {
      cached.used = true
      block = cached.block
    } else {
      block = this.#held?.block(handle, ordinal)
      if (block === undefined) return this.#block(handle, ordinal)
    }
    const at = block.findKey(key, keyStart, keyEnd, seq)
    if (at < 0) return undefined
    if (block.kind(at) === EntryKind.delete) return 'absent'
    this.valueBytes = block.valueBytes
    this.valueStart = block.valueStart(at)
    this.valueEnd = block.valueEnd(at)
    this.seq = block.seq(at)
    return 'found'
  }

  #block(handle: TableHandle, ordinal: number): LookupState {
    this.#blockedHandle = handle
    this.#blockedOrdinal = ordinal
    return 'blocked'
  }
}

/** The one table of a sorted run whose key range holds the key. */
function fileOfKey(files: readonly TableFile[], key: Uint8Array, keyStart: number, keyEnd: number): TableFile | undefined {
  let low = 0
  let high = files.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (endsBefore(files[middle] as TableFile, key, keyStart, keyEnd)) low = middle + 1
    else high = middle
  }
  const file = files[low]
  if (file === undefined) return undefined
  return startsAfter(file, key, keyStart, keyEnd) ? undefined : file
}

const EMPTY = new Uint8Array(0)
