import type { BlobReference } from './blob-reference.ts'

/** A value in memory, as the block cache counts it. */
export interface ResidentValue {
  readonly bytes: Uint8Array
  readonly memoryBytes: number
}

/** What the cache keeps of a value that it holds. */
export interface CachedValue {
  readonly slots: ValueSlots
  readonly ordinal: number
  readonly block: ResidentValue
  readonly warmed: boolean
  used: boolean
  resident: boolean
}

/** Where the cache leaves a value, and takes it away again. */
export interface ValueSlots {
  readonly blocks: (CachedValue | undefined)[]
  readonly onEvicted: (ordinal: number) => void
}

/** The block cache, whose byte budget values share with blocks. */
export interface ValueCache {
  hasRoomFor(bytes: number): boolean
  /** @param scanned read by a scan: that it comes again says nothing about it */
  insert(slots: ValueSlots, ordinal: number, value: ResidentValue, scanned?: boolean): void
  drop(slots: ValueSlots): void
}

/** What a cached value takes beside its bytes, roughly. */
const ENTRY_BYTES = 300

/** The values of one blob file that are in memory. Each has slots of its own, because records have no numbers. */
export class ResidentValues {
  readonly #cache: ValueCache
  readonly #byOffset = new Map<number, ValueSlots>()

  constructor(cache: ValueCache) {
    this.#cache = cache
  }

  find({ offset }: BlobReference): Uint8Array | undefined {
    const cached = this.#byOffset.get(offset)?.blocks[0]
    if (cached === undefined) return undefined
    cached.used = true
    return cached.block.bytes
  }

  keep({ offset }: BlobReference, bytes: Uint8Array, mayEvict: boolean): void {
    const memoryBytes = bytes.length + ENTRY_BYTES
    if (this.#byOffset.has(offset) || (!mayEvict && !this.#cache.hasRoomFor(memoryBytes))) return
    const slots: ValueSlots = { blocks: [], onEvicted: () => this.#byOffset.delete(offset) }
    this.#byOffset.set(offset, slots)
    this.#cache.insert(slots, 0, { bytes, memoryBytes }, !mayEvict)
    // A value larger than the whole budget is refused.
    if (slots.blocks[0] === undefined) this.#byOffset.delete(offset)
  }

  drop(): void {
    for (const slots of this.#byOffset.values()) this.#cache.drop(slots)
    this.#byOffset.clear()
  }
}
