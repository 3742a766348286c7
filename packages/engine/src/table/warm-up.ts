import { compareRanges, concatBytes, type MemoryAccount, type MemoryHold } from '@moraine/base'
import { type DataBlock, decodeBlock, type SstMetadata } from '@moraine/sstable'
import { type FileId, sstName } from '../layout/object-names.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { BlockCache, CachedBlock } from './block-cache.ts'
import type { TableHandle } from './table-handle.ts'

/** Called between blocks; a promise it returns is awaited, so that other work can run. */
export type Pause = () => Promise<void> | undefined

/** A table whose bytes are still in memory. */
export interface FreshTable {
  /** The file, in pieces. */
  readonly parts: readonly Uint8Array[]
  readonly tail: Uint8Array
  /** See `BuiltTable`. */
  readonly nextKey: Uint8Array | undefined
}

interface Prepared {
  readonly handle: TableHandle
  readonly blocks: readonly { readonly ordinal: number; readonly block: DataBlock }[]
  /** Hot blocks that end in this table: they give their place up. */
  readonly replaced: readonly CachedBlock[]
  readonly memory: MemoryHold | undefined
}

/**
 * Carries the hot set over a compaction: the blocks of a new table that cover what hot blocks of the old ones held enter
 * the cache without a request, in the moment in which reads turn to the new table. They are decoded while the bytes of
 * the new table are in memory, and wait; all that waits is never larger than the hot blocks themselves, but for one
 * block of each unbroken run of them, because a run seldom begins where a new block does.
 */
export class WarmUp {
  /** Blocks that came into the cache so, and their size. */
  blocks = 0
  bytes = 0
  readonly #cache: BlockCache
  readonly #memory: MemoryAccount | undefined
  readonly #prepared = new Map<FileId, Prepared>()

  /** @param memory what blocks that wait are charged to */
  constructor(cache: BlockCache, memory?: MemoryAccount) {
    this.#cache = cache
    this.#memory = memory
  }

  hotBlocks(handle: TableHandle | undefined): CachedBlock[] {
    const hot: CachedBlock[] = []
    // Most slots are empty; `forEach` leaves those out that never held a block.
    handle?.blocks.forEach((entry) => {
      if (entry !== undefined && this.#cache.isHot(entry)) hot.push(entry)
    })
    return hot
  }

  /**
   * Rejects when `pause` throws; then nothing is prepared.
   *
   * @param onBytes is given the stored bytes of every block that is made ready, and where they stand in the file
   */
  async prepare(
    handle: TableHandle,
    metadata: SstMetadata,
    table: FreshTable & { readonly hot: readonly CachedBlock[] },
    pause: Pause,
    onBytes: (offset: number, bytes: Uint8Array) => void,
  ): Promise<void> {
    const { file } = handle
    const { index } = metadata
    const hot = table.hot.filter(({ block }) => overlaps(block, file))
    if (hot.length === 0) return
    const replaced = hot.filter(({ block }) => endsIn(block, file, table.nextKey))
    const heat = heatOf(hot, metadata)
    const largest = hot.reduce((most, { block }) => Math.max(most, block.memoryBytes), 0)
    let room = replaced.reduce((sum, { block }) => sum + block.memoryBytes, 0) + runsOf(heat) * largest
    const blocks: { ordinal: number; block: DataBlock }[] = []
    for (const [ordinal] of [...heat].sort(([, a], [, b]) => b - a)) {
      const wait = pause()
      if (wait !== undefined) await wait
      const offset = index.blockOffset(ordinal)
      const bytes = sliceOf(table.parts, offset, index.blockLength(ordinal))
      const block = decodeBlock(bytes, metadata, ordinal, sstName(file.id))
      room -= block.memoryBytes
      if (room < 0) break
      blocks.push({ ordinal, block })
      onBytes(offset, bytes)
    }
    const memory = this.#memory?.hold('uploads', blocks.reduce((sum, { block }) => sum + block.memoryBytes, 0))
    this.#prepared.set(file.id, { handle, blocks, replaced, memory })
  }

  /** The tables have entered the version: the blocks change places. */
  settle(files: readonly TableFile[]): void {
    if (this.#prepared.size === 0) return
    const ready = files.flatMap(({ id }) => this.#prepared.get(id) ?? [])
    this.drop(files)
    for (const { replaced } of ready) for (const entry of replaced) this.#cache.release(entry)
    for (const { handle, blocks } of ready) {
      for (const { ordinal, block } of blocks) {
        if (!this.#cache.insertHot(handle, ordinal, block)) continue
        this.blocks++
        this.bytes += block.memoryBytes
      }
    }
  }

  drop(files: readonly TableFile[]): void {
    for (const { id } of files) {
      this.#prepared.get(id)?.memory?.release()
      this.#prepared.delete(id)
    }
  }
}

/**
 * How much heat falls on each block of the new table, by ordinal. A hot block's heat is its size, spread over all the
 * new blocks that its keys may be in now: a block that held a wide range says little about each.
 */
function heatOf(hot: readonly CachedBlock[], { index }: SstMetadata): Map<number, number> {
  const heat = new Map<number, number>()
  for (const { block } of hot) {
    const { keyBytes } = block
    const end = block.entryCount - 1
    const first = index.findBlock(keyBytes, block.keyStart(0), block.keyEnd(0), Number.MAX_SAFE_INTEGER)
    const last = Math.min(index.findBlock(keyBytes, block.keyStart(end), block.keyEnd(end), 0), index.blockCount - 1)
    for (let ordinal = first; ordinal <= last; ordinal++) {
      heat.set(ordinal, (heat.get(ordinal) ?? 0) + block.memoryBytes / (last - first + 1))
    }
  }
  return heat
}

function runsOf(heat: ReadonlyMap<number, number>): number {
  let runs = 0
  for (const ordinal of heat.keys()) if (!heat.has(ordinal - 1)) runs++
  return runs
}

function overlaps(block: DataBlock, { smallestKey, largestKey }: TableFile): boolean {
  const last = block.entryCount - 1
  const { keyBytes } = block
  return (
    compareRanges(keyBytes, block.keyStart(0), block.keyEnd(0), largestKey, 0, largestKey.length) <= 0 &&
    compareRanges(keyBytes, block.keyStart(last), block.keyEnd(last), smallestKey, 0, smallestKey.length) >= 0
  )
}

function endsIn(block: DataBlock, { largestKey }: TableFile, nextKey: Uint8Array | undefined): boolean {
  const last = block.entryCount - 1
  const bound = nextKey ?? largestKey
  const order = compareRanges(block.keyBytes, block.keyStart(last), block.keyEnd(last), bound, 0, bound.length)
  return nextKey === undefined ? order <= 0 : order < 0
}

/** `length` bytes from `offset` on, out of consecutive pieces: a view when they lie in one. */
function sliceOf(parts: readonly Uint8Array[], offset: number, length: number): Uint8Array {
  const pieces: Uint8Array[] = []
  let start = 0
  for (const part of parts) {
    const from = Math.max(offset - start, 0)
    const to = Math.min(offset + length - start, part.length)
    if (from < to) pieces.push(part.subarray(from, to))
    start += part.length
  }
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : concatBytes(pieces)
}
