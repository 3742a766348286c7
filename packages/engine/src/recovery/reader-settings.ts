import type { Clock, MemoryBudget, Random } from '@moraine/base'
import type { DiskCacheSettings } from '../table/disk-cache/disk-cache.ts'
import type { KeyspaceSettings } from '../table/keyspaces.ts'
import type { PriceTable } from '@moraine/object-store'

/** Every setting of a reader, checked and complete. Sizes in bytes, times in milliseconds. */
export interface ReaderSettings {
  /** Id or name; undefined to follow the newest manifest. */
  readonly checkpoint: string | undefined
  /** 0: only when asked. */
  readonly refreshIntervalMs: number
  /** Undefined: the reader writes nothing at all. */
  readonly leaseMs: number | undefined
  /** What all memory is charged to, shared or not. */
  readonly memoryBudget: MemoryBudget
  readonly blockCacheSizeBytes: number
  readonly metadataCacheSizeBytes: number
  /** Undefined: none. */
  readonly diskCache: DiskCacheSettings | undefined
  /** Of keyspaces by name; the default one is there under the empty name. */
  readonly keyspaces: ReadonlyMap<string, KeyspaceSettings>
  /** Undefined: those of the store, as far as its place tells. */
  readonly prices: PriceTable | undefined
  readonly clock: Clock
  readonly random: Random
}
