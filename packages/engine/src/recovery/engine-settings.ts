import type { Clock, MemoryBudget, Random } from '@moraine/base'
import type { CompactionSettings } from '../compaction/compaction-plan.ts'
import type { RemoteCompactionSettings } from '../compaction/remote/remote-offers.ts'
import type { PriceTable } from '@moraine/object-store'
import type { Compression } from '@moraine/sstable'
import type { DiskCacheSettings } from '../table/disk-cache/disk-cache.ts'
import type { KeyspaceSettings } from '../table/keyspaces.ts'
import type { LocalWalSync } from '../wal/local-wal-writer.ts'
import type { StoreWalSettings } from '../wal/store-wal-writer.ts'
import type { WritePathSettings } from '../write/write-path.ts'

/** Where acknowledged writes live until they are flushed. */
export type WalSettings =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'local'
      /** Undefined: the per-user state folder of the database. */
      readonly folder: string | undefined
      readonly sync: LocalWalSync
      readonly syncIntervalMs: number
      /** What to do with a log that does not continue the database: refuse to open, or move it to a sibling folder. */
      readonly foreign: 'refuse' | 'set-aside'
    }
  | ({ readonly kind: 'object-store' } & StoreWalSettings)

/** Every setting of an engine, checked and complete. Sizes in bytes, times in milliseconds. */
export interface EngineSettings extends WritePathSettings, CompactionSettings {
  readonly wal: WalSettings
  readonly takeover: 'steal' | 'wait' | 'fail'
  readonly createIfMissing: boolean
  readonly blockSizeBytes: number
  readonly blockRestartInterval: number
  /** By level; the last one goes for all deeper levels. */
  readonly compression: readonly Compression[]
  /** Of keyspaces by name; the default one is there under the empty name. */
  readonly keyspaces: ReadonlyMap<string, KeyspaceSettings>
  /** Undefined: nothing is offered to remote compactors. */
  readonly remoteCompaction: RemoteCompactionSettings | undefined
  readonly filterBitsPerKey: number
  /** What all memory is charged to, shared or not. One without an end when there is no limit but the sizes below. */
  readonly memoryBudget: MemoryBudget
  /** Values of at least this size go to blob files; 0: none do. */
  readonly blobThresholdBytes: number
  readonly blockCacheSizeBytes: number
  /** Indexes and filters of open tables; the ones used longest ago go first. */
  readonly metadataCacheSizeBytes: number
  /** Undefined: none. */
  readonly diskCache: DiskCacheSettings | undefined
  /** Threads for the byte work of flushes and compactions; 0: none. */
  readonly workerThreads: number
  readonly fenceCheckIntervalMs: number
  /** How often a writer that has committed something looks for orphans; 0 for never. */
  readonly gcIntervalMs: number
  /** Orphans younger than this stay. */
  readonly gcGraceMs: number
  /** How long `close` tries to flush before it gives up. */
  readonly closeTimeoutMs: number
  /** Undefined: those of the store, as far as its place tells. */
  readonly prices: PriceTable | undefined
  readonly clock: Clock
  readonly random: Random
}
