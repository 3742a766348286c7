import type { FileId } from '../../layout/object-names.ts'

/**
 * Where blocks stand on the disk: by file and offset, the segment's slot and the position in it. A location and its mark of
 * use are packed into one number, which keeps an entry at some 60 bytes.
 */
export class BlockLocations {
  readonly #files = new Map<FileId, Map<number, number>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  find(id: FileId, offset: number): BlockLocation | undefined {
    const packed = this.#files.get(id)?.get(offset)
    return packed === undefined ? undefined : unpack(packed)
  }

  put(id: FileId, offset: number, slot: number, position: number): void {
    let blocks = this.#files.get(id)
    if (blocks === undefined) {
      blocks = new Map()
      this.#files.set(id, blocks)
    }
    const before = blocks.size
    blocks.set(offset, pack(slot, position))
    this.#count += blocks.size - before
  }

  /** The block was wanted: it is worth to be copied when its segment goes. */
  markUsed(id: FileId, offset: number): void {
    const blocks = this.#files.get(id)
    const packed = blocks?.get(offset)
    if (blocks !== undefined && packed !== undefined && packed % 2 === 0) blocks.set(offset, packed + 1)
  }

  /** Forgets a block, unless it stands elsewhere by now. True when it was there. */
  remove(id: FileId, offset: number, slot: number, position: number): boolean {
    const blocks = this.#files.get(id)
    const packed = blocks?.get(offset)
    if (blocks === undefined || packed === undefined || packed - (packed % 2) !== pack(slot, position)) return false
    blocks.delete(offset)
    if (blocks.size === 0) this.#files.delete(id)
    this.#count--
    return true
  }

  forget(id: FileId): void {
    this.#count -= this.#files.get(id)?.size ?? 0
    this.#files.delete(id)
  }

  /** Forgets all files but these. */
  retain(ids: ReadonlySet<FileId>): void {
    for (const id of this.#files.keys()) if (!ids.has(id)) this.forget(id)
  }

  /** Forgets what stands in a segment whose own index cannot be read any more. Looks at everything. */
  sweep(slot: number): number {
    const before = this.#count
    for (const [id, blocks] of this.#files) {
      for (const [offset, packed] of blocks) {
        const { slot: at, position } = unpack(packed)
        if (at === slot) this.remove(id, offset, at, position)
      }
    }
    return before - this.#count
  }

  clear(): void {
    this.#files.clear()
    this.#count = 0
  }
}

export interface BlockLocation {
  readonly slot: number
  readonly position: number
  readonly used: boolean
}

/** Positions are below this; a segment is never larger. */
const POSITION_BOUND = 2 ** 31

function pack(slot: number, position: number): number {
  return (slot * POSITION_BOUND + position) * 2
}

function unpack(packed: number): BlockLocation {
  const used = packed % 2 === 1
  const place = (packed - (used ? 1 : 0)) / 2
  const position = place % POSITION_BOUND
  return { slot: (place - position) / POSITION_BOUND, position, used }
}
