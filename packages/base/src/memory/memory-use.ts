/** Memory in use, by what it is for; bytes. */
export interface MemoryUse {
  /** Memtables that are not flushed yet. */
  readonly memtables: number
  /** Memtables that are flushed and that reads still use, and what readers hold of a log's end. */
  readonly heldMemtables: number
  /** Chunks of memtables that are gone, kept for the next ones. */
  readonly memtablePool: number
  /** Decoded blocks. */
  readonly blockCache: number
  /** Indexes and filters of open tables. */
  readonly metadataCache: number
  /** Tables that are being built, wait for their upload or are on their way; of merges what they have reserved. */
  readonly uploads: number
  /** Windows of scans. */
  readonly readAhead: number
}

/** What a budget's databases use of it; bytes. */
export interface MemoryBudgetStats extends MemoryUse {
  readonly totalBytes: number
  /** The sum of all categories. Above `totalBytes` only where something larger than its share had to go through. */
  readonly usedBytes: number
  readonly databases: number
}

export type MemoryCategory = keyof MemoryUse

/** The categories that give way to the others. */
export type CacheCategory = 'memtablePool' | 'blockCache' | 'metadataCache'

export const NO_MEMORY: MemoryUse = {
  memtables: 0,
  heldMemtables: 0,
  memtablePool: 0,
  blockCache: 0,
  metadataCache: 0,
  uploads: 0,
  readAhead: 0,
}

export function totalOf(use: MemoryUse): number {
  return needed(use) + use.memtablePool + use.blockCache + use.metadataCache
}

/** What no cache can be asked for. */
export function needed(use: MemoryUse): number {
  return use.memtables + use.heldMemtables + use.uploads + use.readAhead
}
