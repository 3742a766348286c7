import { MoraineError } from '../error/moraine-error.ts'
import type { MemoryAccount } from './memory-account.ts'
import { MemoryPool } from './memory-pool.ts'
import type { MemoryBudgetStats } from './memory-use.ts'

const LEAST_TOTAL_BYTES = 4 * 1024 * 1024

/**
 * Memory that any number of databases and readers of this process share: pass it to `open` and `openReader` as
 * `memoryBudget`. Memtables, caches, uploads, merges and read-ahead are charged to it in bytes; `docs/memory.md` says by
 * which rules, and what is not counted.
 */
export class MemoryBudget {
  readonly #pool: MemoryPool

  /** @param options `totalBytes`: 4 MiB or more; Infinity only counts. INVALID otherwise. */
  constructor(options: { readonly totalBytes: number }) {
    const { totalBytes } = options
    const isSize = Number.isSafeInteger(totalBytes) || totalBytes === Number.POSITIVE_INFINITY
    if (!isSize || totalBytes < LEAST_TOTAL_BYTES) {
      throw new MoraineError(
        'INVALID',
        `totalBytes of a MemoryBudget must be a whole number of bytes from ${LEAST_TOTAL_BYTES} on, not ${String(totalBytes)}`,
      )
    }
    this.#pool = new MemoryPool(totalBytes)
  }

  get totalBytes(): number {
    return this.#pool.totalBytes
  }

  /** What is used now, by category, all databases together. */
  stats(): MemoryBudgetStats {
    return this.#pool.stats()
  }

  /** An account for a database that is being opened. Databases do this themselves. */
  join(): MemoryAccount {
    return this.#pool.join()
  }
}
