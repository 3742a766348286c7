/** What a key's merge operands add up to at one of its versions. */
export interface MergedValue {
  /** Sequence number of the newest operand. */
  readonly seq: number
  /** Undefined: worked out once, and nothing was there. */
  readonly value: Uint8Array
}

/** A key worked out from fewer operands than this is as quickly worked out again. */
export const MEMO_LEAST_OPERANDS = 4

/** Objects and text around an entry, roughly. */
const OVERHEAD_BYTES = 200

/**
 * Remembers what reads have worked out of merge operands, so that a counter that is bumped and read in turn costs the
 * operands since the last read, not all of them. What is remembered can never be wrong: a version never changes, nor
 * does what is older than it. The least recently used goes first.
 */
export class MergeMemo {
  readonly #budgetBytes: number
  readonly #values = new Map<string, MergedValue>()
  #bytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  get sizeBytes(): number {
    return this.#bytes
  }

  get(key: string): MergedValue | undefined {
    return this.#values.get(key)
  }

  set(key: string, merged: MergedValue): void {
    const before = this.#values.get(key)
    if (before !== undefined) {
      // A read of an older moment must not take away what newer ones need.
      if (before.seq >= merged.seq) return
      this.#forget(key, before)
    }
    const bytes = sizeOf(key, merged)
    if (bytes > this.#budgetBytes / 8) return
    this.#values.set(key, merged)
    this.#bytes += bytes
    for (const [oldest, value] of this.#values) {
      if (this.#bytes <= this.#budgetBytes) break
      this.#forget(oldest, value)
    }
  }

  #forget(key: string, value: MergedValue): void {
    this.#values.delete(key)
    this.#bytes -= sizeOf(key, value)
  }
}

function sizeOf(key: string, { value }: MergedValue): number {
  return key.length + value.length + OVERHEAD_BYTES
}
