import type { GivingCache, MemoryAccount } from '@moraine/base'
import type { DataBlock } from '@moraine/sstable'
import { GhostBlocks } from './ghost-blocks.ts'

/**
 * Decoded data blocks under one byte budget, shared by all tables of a database. The cache does not look blocks up: a
 * table keeps its cached blocks in an array by ordinal ({@link BlockSlots}), so that a hit costs an array access, and
 * the cache only decides what to keep.
 *
 * Policy (after S3-FIFO): a new block enters a small probation queue of a tenth of the budget. When it reaches the end
 * of that queue it is kept only if it was used again meanwhile; kept blocks stand in the main queue, which is a clock:
 * a block used since the hand last passed gets another round. A scan that touches each block once therefore moves
 * through probation and leaves the hot set alone. A block that was read, went, and is read again comes straight into the
 * main queue: otherwise a new hot set larger than probation would never get in.
 */
export interface BlockSlots<Block extends Sized = DataBlock> {
  readonly blocks: (CachedBlock<Block> | undefined)[]
  /** Told when a block was pushed out. */
  readonly onEvicted?: ((ordinal: number) => void) | undefined
}

/** All that the cache must know of what it keeps: blocks, and the large values that lie outside of tables. */
export interface Sized {
  readonly memoryBytes: number
}

export interface CachedBlock<Block extends Sized = DataBlock> {
  readonly slots: BlockSlots<Block>
  readonly ordinal: number
  readonly block: Block
  /** Took the place of a hot block; has yet to prove itself. */
  readonly warmed: boolean
  /** Set by every use; cleared by the clock's hand. */
  used: boolean
  resident: boolean
}

const PROBATION_SHARE = 0.1

export class BlockCache implements GivingCache {
  readonly budgetBytes: number
  readonly #memory: MemoryAccount | undefined
  readonly #probation = new Fifo()
  readonly #main = new Fifo()
  readonly #ghosts: GhostBlocks
  insertions = 0
  evictions = 0

  /** @param memory what the cache shares its memory with, and gives way to */
  constructor(budgetBytes: number, memory?: MemoryAccount) {
    this.budgetBytes = budgetBytes
    this.#ghosts = new GhostBlocks(budgetBytes)
    this.#memory = memory
    memory?.addCache(this)
  }

  get sizeBytes(): number {
    return this.#probation.bytes + this.#main.bytes
  }

  size(): number {
    return this.sizeBytes
  }

  get blockCount(): number {
    return this.#probation.size + this.#main.size
  }

  /** True when a block of this size fits without pushing another out. */
  hasRoomFor(bytes: number): boolean {
    return this.sizeBytes + bytes <= this.budgetBytes && this.#memory?.hasRoomFor(bytes) !== false
  }

  /** @param scanned read by a scan: that it comes again says nothing about it */
  insert<Block extends Sized>(slots: BlockSlots<Block>, ordinal: number, block: Block, scanned = false): void {
    if (slots.blocks[ordinal] !== undefined) return
    // A block larger than the whole budget would push everything out and then itself.
    if (block.memoryBytes > this.budgetBytes) return
    const isBack = !scanned && this.#ghosts.take(slots, ordinal)
    this.#place(slots, ordinal, block, isBack ? this.#main : this.#probation)
    while (this.sizeBytes > this.budgetBytes) this.#evictOne()
    this.#memory?.charge('blockCache', block.memoryBytes)
  }

  giveWay(bytes: number): void {
    const targetBytes = Math.max(0, this.sizeBytes - bytes)
    while (this.sizeBytes > targetBytes) this.#evictOne()
  }

  /** A block that was used since it came, or has been kept for that. */
  isHot(entry: CachedBlock): boolean {
    return entry.resident && (entry.used || (!entry.warmed && this.#main.has(entry)))
  }

  /**
   * Inserts a block that stands for hot ones, if there is room or unused blocks on probation can make it: false when only
   * hotter ones could.
   */
  insertHot(slots: BlockSlots, ordinal: number, block: DataBlock): boolean {
    if (slots.blocks[ordinal] !== undefined) return false
    while (!this.hasRoomFor(block.memoryBytes)) {
      const entry = this.#probation.shift()
      if (entry === undefined) return false
      if (entry.used) this.#main.push(entry)
      else this.#evict(entry)
    }
    this.#place(slots, ordinal, block, this.#main, true)
    this.#memory?.charge('blockCache', block.memoryBytes)
    return true
  }

  /** Lets go of one block. */
  release(entry: CachedBlock): void {
    if (!entry.resident) return
    entry.resident = false
    entry.slots.blocks[entry.ordinal] = undefined
    if (!this.#probation.forget(entry)) this.#main.forget(entry)
    this.#memory?.charge('blockCache', -entry.block.memoryBytes)
  }

  /** Forgets all blocks of a table that left the database. */
  drop(slots: BlockSlots<Sized>): void {
    for (const entry of slots.blocks) {
      if (entry === undefined || !entry.resident) continue
      entry.resident = false
      // The queues skip entries that are not resident; only the byte count changes now.
      if (!this.#probation.forget(entry)) this.#main.forget(entry)
      this.#memory?.charge('blockCache', -entry.block.memoryBytes)
    }
    slots.blocks.length = 0
  }

  #place<Block extends Sized>(slots: BlockSlots<Block>, ordinal: number, block: Block, queue: Fifo, warmed = false): void {
    const entry: CachedBlock<Block> = { slots, ordinal, block, warmed, used: false, resident: true }
    slots.blocks[ordinal] = entry
    queue.push(entry)
    this.insertions++
  }

  #evictOne(): void {
    // A cache that gives way may hold far less than it could.
    const probationBytes = Math.min(this.budgetBytes, this.sizeBytes) * PROBATION_SHARE
    if (this.#probation.bytes > probationBytes || this.#main.size === 0) {
      const entry = this.#probation.shift()
      if (entry === undefined) return
      if (entry.used) {
        entry.used = false
        this.#main.push(entry)
      } else {
        // Slots that wait to be told are gone with their block: nothing would come back to them.
        if (entry.slots.onEvicted === undefined) this.#ghosts.remember(entry.slots, entry.ordinal, entry.block.memoryBytes)
        this.#evict(entry)
      }
      return
    }
    const entry = this.#main.shift()
    if (entry === undefined) return
    if (entry.used) {
      entry.used = false
      this.#main.push(entry)
    } else {
      this.#evict(entry)
    }
  }

  #evict(entry: CachedBlock<Sized>): void {
    entry.resident = false
    entry.slots.blocks[entry.ordinal] = undefined
    entry.slots.onEvicted?.(entry.ordinal)
    this.evictions++
    this.#memory?.charge('blockCache', -entry.block.memoryBytes)
  }
}

/** A queue of entries with a byte count; removal from the middle is by set semantics of insertion order. */
class Fifo {
  readonly #entries = new Set<CachedBlock<Sized>>()
  bytes = 0

  get size(): number {
    return this.#entries.size
  }

  has(entry: CachedBlock<Sized>): boolean {
    return this.#entries.has(entry)
  }

  push(entry: CachedBlock<Sized>): void {
    this.#entries.add(entry)
    this.bytes += entry.block.memoryBytes
  }

  shift(): CachedBlock<Sized> | undefined {
    for (const entry of this.#entries) {
      this.forget(entry)
      return entry
    }
    return undefined
  }

  forget(entry: CachedBlock<Sized>): boolean {
    if (!this.#entries.delete(entry)) return false
    this.bytes -= entry.block.memoryBytes
    return true
  }
}
