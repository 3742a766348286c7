/** Ordinals of a table are below this: a table of a terabyte in blocks of a kilobyte has half as many blocks. */
const ORDINAL_BOUND = 2 ** 31

/**
 * Which blocks were read and have left the cache lately, as many bytes of them as the cache holds. Costs some 50 bytes a
 * block.
 */
export class GhostBlocks {
  readonly #budgetBytes: number
  /** By table and ordinal, the bytes of the block; oldest first. */
  readonly #blocks = new Map<number, number>()
  readonly #tables = new WeakMap<object, number>()
  #tableCount = 0
  #bytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  remember(table: object, ordinal: number, bytes: number): void {
    const key = this.#keyOf(table, ordinal)
    this.#remove(key)
    this.#blocks.set(key, bytes)
    this.#bytes += bytes
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#budgetBytes) return
      this.#remove(oldest)
    }
  }

  /** Whether the block is remembered; it is not any more after this. */
  take(table: object, ordinal: number): boolean {
    return this.#tables.has(table) && this.#remove(this.#keyOf(table, ordinal))
  }

  #remove(key: number): boolean {
    const bytes = this.#blocks.get(key)
    if (bytes === undefined) return false
    this.#bytes -= bytes
    return this.#blocks.delete(key)
  }

  #keyOf(table: object, ordinal: number): number {
    let number = this.#tables.get(table)
    if (number === undefined) {
      number = this.#tableCount++
      this.#tables.set(table, number)
    }
    return number * ORDINAL_BOUND + ordinal
  }
}
