import type { MemoryHold } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import type { DataBlock, SstMetadata } from '@moraine/sstable'
import { envelopedKind } from '../batch/envelope.ts'
import { ClippedIterator } from '../iterator/clipped-iterator.ts'
import type { EntryIterator, MaybePromise } from '../iterator/entry-iterator.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { TableHandle } from './table-handle.ts'
import type { TableStore } from './table-store.ts'

/** How far an iterator reads ahead. */
export interface ReadAhead {
  /** Bytes of the first window that has to be fetched; each further one doubles. */
  readonly initialBytes: number
  readonly maxBytes: number
  /**
   * Whether a read of a few blocks counts as use of them, and may push older ones out of the cache. What a merge reads is
   * about to go.
   */
  readonly keeps: boolean
  /** The memory of the windows was reserved beforehand, all of it. */
  readonly reserved?: boolean
}

/** For scans: a short one reads one block, a long one soon reads a megabyte a request. */
export const SCAN_READ_AHEAD: ReadAhead = { initialBytes: 16 * 1024, maxBytes: 2 * 1024 * 1024, keeps: true }

/** A scan that goes on after so many blocks of a table is a long one: it uses each block once, which says nothing. */
const SHORT_SCAN_BLOCKS = 4

/** The entries of a table that belong to the version. Its requests are charged to `account`; by default to scans. */
export function tableIterator(tables: TableStore, file: TableFile, readAhead: ReadAhead, account?: RequestAccount): EntryIterator {
  const whole = new TableIterator(tables, tables.handle(file), readAhead, account)
  return file.range === undefined ? whole : new ClippedIterator(whole, file.range)
}

interface Window {
  readonly first: number
  readonly last: number
  /** A point read in disguise. */
  readonly short: boolean
  readonly bytes: Uint8Array
  readonly memory: MemoryHold | undefined
}

/**
 * Iterates over one table. Blocks come from the cache, or else out of a window of consecutive blocks fetched with one
 * ranged GET. Windows grow while the iterator keeps going in one direction, and once they have grown the next one is
 * fetched while this one is being read.
 */
export class TableIterator implements EntryIterator {
  valid = false
  keyBytes: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  valueBytes: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0

  readonly #tables: TableStore
  readonly #handle: TableHandle
  readonly #readAhead: ReadAhead
  readonly #enveloped: boolean
  readonly #account: RequestAccount | undefined
  #metadata: SstMetadata | undefined
  #block: DataBlock | undefined
  #ordinal = -1
  #at = 0
  #window: Window | undefined
  #upcoming: { first: number; last: number; load: Promise<Window> } | undefined
  #windowBytes: number
  #entered = 0
  #closed = false

  constructor(tables: TableStore, handle: TableHandle, readAhead: ReadAhead, account?: RequestAccount) {
    this.#tables = tables
    this.#handle = handle
    this.#readAhead = readAhead
    this.#account = account
    this.#windowBytes = readAhead.initialBytes
    this.#metadata = handle.metadata
    this.#enveloped = handle.file.enveloped === true
  }

  seek(key: Uint8Array, seq: number): MaybePromise {
    return this.#withMetadata((metadata) => {
      const ordinal = metadata.index.findBlock(key, 0, key.length, seq)
      return this.#enter(ordinal, true, (block) => block.find(key, 0, key.length, seq))
    })
  }

  seekToFirst(): MaybePromise {
    return this.#withMetadata(() => this.#enter(0, true, FIRST_ENTRY))
  }

  seekBefore(key: Uint8Array): MaybePromise {
    return this.#withMetadata((metadata) => {
      // The block that holds the first entry not before the key: the wanted entry stands before it there, or last in
      // the block before.
      const ordinal = metadata.index.findBlock(key, 0, key.length, Number.MAX_SAFE_INTEGER)
      const last = metadata.index.blockCount
      if (ordinal >= last) return this.#enter(last - 1, false, LAST_ENTRY)
      return this.#enter(ordinal, false, (block) => block.find(key, 0, key.length, Number.MAX_SAFE_INTEGER) - 1)
    })
  }

  seekToLast(): MaybePromise {
    return this.#withMetadata((metadata) => this.#enter(metadata.index.blockCount - 1, false, LAST_ENTRY))
  }

  next(): MaybePromise {
    const block = this.#block as DataBlock
    const at = this.#at + 1
    if (at < block.entryCount) {
      this.#at = at
      this.#expose(block, at)
      return undefined
    }
    return this.#enter(this.#ordinal + 1, true, FIRST_ENTRY)
  }

  prev(): MaybePromise {
    const block = this.#block as DataBlock
    const at = this.#at - 1
    if (at >= 0) {
      this.#at = at
      this.#expose(block, at)
      return undefined
    }
    return this.#enter(this.#ordinal - 1, false, LAST_ENTRY)
  }

  close(): void {
    this.#closed = true
    this.valid = false
    this.#block = undefined
    this.#replaceWindow(undefined)
    abandon(this.#upcoming?.load)
    this.#upcoming = undefined
  }

  #withMetadata(then: (metadata: SstMetadata) => MaybePromise): MaybePromise {
    this.valid = false
    const metadata = this.#metadata ?? this.#handle.metadata
    if (metadata !== undefined) {
      this.#metadata = metadata
      this.#handle.metadataUsed = true
      return then(metadata)
    }
    return this.#tables.loadMetadata(this.#handle, this.#account).then((loaded) => {
      this.#metadata = loaded
      return then(loaded)
    })
  }

  /**
   * Stands on the entry that `position` picks in block `ordinal`; when that is past the block's end (or before its
   * start) the neighbouring block is entered.
   */
  #enter(ordinal: number, forward: boolean, position: (block: DataBlock) => number): MaybePromise {
    this.valid = false
    const metadata = this.#metadata as SstMetadata
    if (ordinal < 0 || ordinal >= metadata.index.blockCount) {
      this.#block = undefined
      return undefined
    }
    const isShort = this.#entered++ < SHORT_SCAN_BLOCKS
    const cached = this.#handle.blocks[ordinal]
    if (cached !== undefined) {
      if (isShort && this.#readAhead.keeps) cached.used = true
      return this.#stand(cached.block, ordinal, forward, position)
    }
    const window = this.#window
    if (window !== undefined && ordinal >= window.first && ordinal <= window.last) {
      return this.#stand(this.#decode(window, ordinal), ordinal, forward, position)
    }
    return this.#fetchWindow(ordinal, forward).then((fetched) => {
      if (this.#closed) {
        fetched.memory?.release()
        return undefined
      }
      this.#replaceWindow(fetched)
      return this.#stand(this.#decode(fetched, ordinal), ordinal, forward, position)
    })
  }

  #stand(block: DataBlock, ordinal: number, forward: boolean, position: (block: DataBlock) => number): MaybePromise {
    const at = position(block)
    if (at < 0) return this.#enter(ordinal - 1, false, LAST_ENTRY)
    if (at >= block.entryCount) return this.#enter(ordinal + 1, forward, FIRST_ENTRY)
    this.#block = block
    this.#ordinal = ordinal
    this.#at = at
    this.valid = true
    this.#expose(block, at)
    return undefined
  }

  #expose(block: DataBlock, at: number): void {
    this.keyBytes = block.keyBytes
    this.keyStart = block.keyStart(at)
    this.keyEnd = block.keyEnd(at)
    this.seq = block.seq(at)
    this.kind = this.#enveloped ? envelopedKind(block.kind(at)) : block.kind(at)
    this.valueBytes = block.valueBytes
    this.valueStart = block.valueStart(at)
    this.valueEnd = block.valueEnd(at)
  }

  #decode(window: Window, ordinal: number): DataBlock {
    const { index } = this.#metadata as SstMetadata
    const start = index.blockOffset(ordinal) - index.blockOffset(window.first)
    const bytes = window.bytes.subarray(start, start + index.blockLength(ordinal))
    return this.#tables.decode(this.#handle, this.#metadata as SstMetadata, ordinal, bytes, window.short)
  }

  async #fetchWindow(ordinal: number, forward: boolean): Promise<Window> {
    const upcoming = this.#upcoming
    this.#upcoming = undefined
    if (upcoming !== undefined) {
      if (ordinal >= upcoming.first && ordinal <= upcoming.last) {
        this.#prefetch(forward ? upcoming.last + 1 : upcoming.first - 1, forward)
        return upcoming.load
      }
      abandon(upcoming.load)
      this.#windowBytes = this.#readAhead.initialBytes
    }
    const [first, last] = this.#extent(ordinal, forward)
    const load = this.#load(first, last)
    this.#windowBytes = Math.min(this.#windowBytes * 2, this.#readAhead.maxBytes)
    if (this.#windowBytes > this.#readAhead.initialBytes * 4) this.#prefetch(forward ? last + 1 : first - 1, forward)
    return load
  }

  #prefetch(ordinal: number, forward: boolean): void {
    const { blockCount } = (this.#metadata as SstMetadata).index
    if (ordinal < 0 || ordinal >= blockCount || this.#handle.blocks[ordinal] !== undefined) return
    const [first, last] = this.#extent(ordinal, forward)
    const load = this.#load(first, last)
    // Its failure is reported when, and only if, the window is wanted.
    load.catch(() => {})
    this.#upcoming = { first, last, load }
    this.#windowBytes = Math.min(this.#windowBytes * 2, this.#readAhead.maxBytes)
  }

  async #load(first: number, last: number): Promise<Window> {
    const { keeps, initialBytes, reserved } = this.#readAhead
    const metadata = this.#metadata as SstMetadata
    const short = keeps && this.#entered <= SHORT_SCAN_BLOCKS && this.#windowBytes <= initialBytes
    const { index } = metadata
    const sizeBytes = index.blockOffset(last) + index.blockLength(last) - index.blockOffset(first)
    const memory = reserved === true ? undefined : this.#tables.holdReadAhead(sizeBytes)
    try {
      const bytes = await this.#tables.readBlocks(this.#handle, metadata, first, last, short, this.#account)
      return { first, last, short, bytes, memory }
    } catch (error) {
      memory?.release()
      throw error
    }
  }

  #replaceWindow(window: Window | undefined): void {
    this.#window?.memory?.release()
    this.#window = window
  }

  /** The blocks from `ordinal` on (or up to it) that fit into the current window. */
  #extent(ordinal: number, forward: boolean): [number, number] {
    const { index } = this.#metadata as SstMetadata
    const mostBytes = this.#readAhead.reserved === true ? this.#windowBytes : this.#tables.readAheadBytes(this.#windowBytes)
    let edge = ordinal
    let bytes = index.blockLength(ordinal)
    for (;;) {
      const following = forward ? edge + 1 : edge - 1
      if (following < 0 || following >= index.blockCount) break
      bytes += index.blockLength(following)
      if (bytes > mostBytes) break
      edge = following
    }
    return forward ? [ordinal, edge] : [edge, ordinal]
  }
}

/** A window still on its way belongs to nobody; its failure is nobody's either. */
function abandon(load: Promise<Window> | undefined): void {
  load?.then(({ memory }) => memory?.release(), () => {})
}

const EMPTY = new Uint8Array(0)
const FIRST_ENTRY = (): number => 0
const LAST_ENTRY = (block: DataBlock): number => block.entryCount - 1
