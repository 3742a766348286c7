import { availableParallelism } from 'node:os'
import { type CallLimits, type Clock, MoraineError, type Random, systemClock, systemRandom } from '@moraine/base'
import type { Compression } from '@moraine/sstable'
import { type PriceTable, priceTable, type PriceTableName } from '@moraine/object-store'
import type { CompactionFilter } from '../table/compaction-filter.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import type { EngineSettings, WalSettings } from '../recovery/engine-settings.ts'
import { checkCompaction, type CompactionOption, compactionSettings } from './compaction-option.ts'
import { limitChecks } from './call-options.ts'
import { checkDiskCache, type DiskCacheOption, diskCacheSettings } from './disk-cache-option.ts'
import {
  checkCompactionFilter,
  checkBlobThreshold,
  checkCompression,
  declaredKeyspaces,
  keyspaceChecks,
  type KeyspaceOptions,
  keyspacesOption,
} from './keyspace-options.ts'
import { type MemoryBudgetOption, memoryBudgetOption, memorySettings } from './memory-option.ts'
import { checkRemoteCompaction, type RemoteCompactionOption, remoteCompactionSettings } from './remote-compaction-option.ts'
import {
  booleanOption,
  checkOptions,
  integerOption,
  objectOption,
  oneOfOption,
  optional,
  type OptionChecks,
  pricesOption,
  textOption,
  zeroOrIntegerOption,
} from './option-checks.ts'

/** The write-ahead log; a word alone takes the defaults of its kind. */
export type WalOption = 'none' | 'local' | 'object-store' | { readonly kind: 'none' } | LocalWalOption | StoreWalOption

export interface LocalWalOption {
  readonly kind: 'local'
  /** Folder of the log. Default: a per-user state folder by database id. Never share one between databases. */
  readonly folder?: string
  /**
   * When an acknowledged write is on disk. `always`: before the acknowledgement. `interval` (default): at most
   * `syncIntervalMs` later. `never`: when the operating system likes. A killed process loses nothing with any of them;
   * a machine that loses power loses what was not synced.
   */
  readonly sync?: 'always' | 'interval' | 'never'
  /** Milliseconds, default 100. */
  readonly syncIntervalMs?: number
  /**
   * What to do with a log in the folder that does not continue the database: `refuse` to open (default), or `set-aside`:
   * rename the folder and start a new log. It is never replayed and never deleted.
   */
  readonly foreign?: 'refuse' | 'set-aside'
}

/** The log as objects of the store: an acknowledged write survives the loss of the machine, for one PUT of latency. */
export interface StoreWalOption {
  readonly kind: 'object-store'
  /**
   * Milliseconds between the beginnings of two PUTs, while less than `flushSizeBytes` waits: writes that come meanwhile
   * share the next one. A write that comes after a pause goes out at once. 0: as soon as one of `maxInFlight` is free.
   * Default 1; every PUT costs money, and a larger interval buys fewer of them.
   */
  readonly flushIntervalMs?: number
  /** A PUT is not held back once so much waits for it; default 1 MiB. */
  readonly flushSizeBytes?: number
  /** PUTs under way at once; default 4. */
  readonly maxInFlight?: number
}

/** Options of `open`. Sizes are in bytes, times in milliseconds. `signal` and `timeoutMs` end the opening only. */
export interface OpenOptions extends CallLimits {
  /** Where acknowledged writes live until they are flushed; default `local`. */
  readonly wal?: WalOption
  /**
   * What to do when the database was not closed by its last owner: `steal` (default) fences it off, `wait` waits until
   * it closes, `fail` throws CONFLICT.
   */
  readonly takeover?: 'steal' | 'wait' | 'fail'
  /** Create the database when the location is empty; default true. */
  readonly createIfMissing?: boolean
  /**
   * Memory for the keys of recent writes, kept while transactions are open; default 16 MiB. A transaction that was open
   * while more was written ends with CONFLICT.
   */
  readonly conflictWindowSizeBytes?: number
  /**
   * Memory for memtables, caches, uploads and read-ahead together: a `MemoryBudget`, which other databases may share, or the
   * bytes of one of its own. Sizes below that are not given follow from it. Default: none, the sizes are the limits.
   */
  readonly memoryBudget?: MemoryBudgetOption
  /** A memtable of this size is flushed; default 32 MiB, or a tenth of the budget when that is less. */
  readonly memtableSizeBytes?: number
  /** Full memtables that may wait for their flush before writes are held back; default 2. */
  readonly maxSealedMemtables?: number
  /** Decoded blocks kept in memory; default 64 MiB, with a budget what is left of it. */
  readonly blockCacheSizeBytes?: number
  /** Indexes and filters of open tables kept in memory; default 64 MiB, with a budget what is left of it. */
  readonly metadataCacheSizeBytes?: number
  /** A cache of blocks on the local disk below the one in memory; default none. */
  readonly diskCache?: DiskCacheOption
  /** Uncompressed size of a table's blocks, the unit of a cold read; default 16 KiB. */
  readonly blockSizeBytes?: number
  /** Entries between two keys stored whole; default 16. */
  readonly blockRestartInterval?: number
  /**
   * Compression of blocks; default `lz4`. A list says it level by level, and its last word goes for all deeper levels:
   * `['none', 'lz4', 'zstd']`. `zstd` needs Node 22.15 or newer, also to read.
   */
  readonly compression?: Compression | readonly Compression[]
  /** Looks at entries while compactions rewrite them, on the calling thread: it may remove or replace them. */
  readonly compactionFilter?: CompactionFilter
  /**
   * Makes values out of what `merge` writes, in the default keyspace. The database remembers its name and version, and is
   * not opened with another one, nor without one, unless it is one of those that come with Moraine.
   */
  readonly mergeOperator?: MergeOperator
  /** Milliseconds that entries of the default keyspace live unless their write says otherwise; remembered. Default: for ever. */
  readonly ttlMs?: number
  /** Settings of named keyspaces by name; `db.keyspace` takes the same later. */
  readonly keyspaces?: Readonly<Record<string, KeyspaceOptions>>
  /** Bloom filter bits per key; 0 for no filter, default 10 (one false positive in a hundred). */
  readonly filterBitsPerKey?: number
  /** Size at which compaction starts another table; default 32 MiB, or a sixteenth of the budget when that is less. */
  readonly targetFileSizeBytes?: number
  /** The shape that compaction gives the tree; default `leveled`. May differ from opening to opening. */
  readonly compaction?: CompactionOption
  /**
   * Offer large compactions to `moraine compactor` processes; default false. What none of them takes, or brings back in
   * time, is done here.
   */
  readonly remoteCompaction?: false | RemoteCompactionOption
  /**
   * A table with at least this share of tombstones, in percent, is compacted when nothing more urgent is there, so that
   * deleted data goes and reads pass fewer tombstones; 0 never, default 50.
   */
  readonly compactionTombstonePercent?: number
  /**
   * Values of at least this size go to blob files, and tables hold references to them, so that compactions do not rewrite
   * large values again and again; 0 (default) never, else at least 256. May differ from opening to opening.
   */
  readonly blobThresholdBytes?: number
  /**
   * A blob file of which less than this, in percent, is still referred to is emptied: what is left moves to another one
   * when nothing more urgent is there; 0 never, default 50.
   */
  readonly blobGarbagePercent?: number
  /** Tables older than this are rewritten once when nothing more urgent is there; 0 (default) never, else at least 60000. */
  readonly compactionMaxAgeMs?: number
  /** Tables in level 0 that start a compaction; default 4. */
  readonly level0CompactionTrigger?: number
  /** Tables in level 0 that hold writes back; default 16. */
  readonly level0StopTrigger?: number
  /** Size of level 1; default 128 MiB, or four tenths of the budget when that is less. */
  readonly levelBaseSizeBytes?: number
  /** How much larger each deeper level is; default 10. */
  readonly levelSizeMultiplier?: number
  /**
   * Worker threads for the byte work of flushes and compactions: default 2, one for each, or 1 for both where there are only
   * two cores. 0 does it on the calling thread, in slices of a few milliseconds; so does a clock of your own, because
   * threads would not see it. A thread starts with the first work that is worth it. More than 2 merge large compactions by
   * parts.
   */
  readonly workerThreads?: number
  /** How often a writer with new unflushed writes looks whether it still owns the database; 0 never, default 5000. */
  readonly fenceCheckIntervalMs?: number
  /**
   * How often a writer that has committed something looks for files that crashed processes left; 0 never, default 6 hours.
   * What compaction and deleted checkpoints replace is deleted at once, whatever this is.
   */
  readonly gcIntervalMs?: number
  /** Such files are deleted when the store says they are older than this; default 15 minutes. */
  readonly gcGraceMs?: number
  /** How long `close` tries to flush before it gives up; default 30000. */
  readonly closeTimeoutMs?: number
  /**
   * What `stats().cost` and the reports count dollars by: a table by name or one of your own. Default: by the location,
   * `free` for memory, folders and servers of your own, `s3-express` for directory buckets, `r2` for Cloudflare, else
   * `s3-standard`.
   */
  readonly prices?: PriceTableName | PriceTable
  /** Time source; a simulation passes its own. */
  readonly clock?: Clock
  /** Source of randomness; a simulation passes its own. */
  readonly random?: Random
}

/** How old a file that nothing refers to must be before it is deleted. */
export const DEFAULT_GRACE_MS: number = 15 * 60_000

const MIB = 1024 * 1024
const GIB = 1024 * MIB

const checks: OptionChecks<OpenOptions> = {
  wal: checkWal,
  takeover: oneOfOption('steal', 'wait', 'fail'),
  createIfMissing: booleanOption,
  ...limitChecks,
  memoryBudget: memoryBudgetOption,
  conflictWindowSizeBytes: integerOption(64 * 1024, GIB),
  memtableSizeBytes: integerOption(256 * 1024, GIB),
  maxSealedMemtables: integerOption(1, 64),
  blockCacheSizeBytes: integerOption(0, 1024 * GIB),
  metadataCacheSizeBytes: integerOption(0, 1024 * GIB),
  diskCache: checkDiskCache,
  blockSizeBytes: integerOption(1024, 16 * MIB),
  blockRestartInterval: integerOption(1, 1024),
  compression: checkCompression,
  compactionFilter: checkCompactionFilter,
  mergeOperator: keyspaceChecks.mergeOperator,
  ttlMs: keyspaceChecks.ttlMs,
  keyspaces: keyspacesOption,
  filterBitsPerKey: integerOption(0, 32),
  targetFileSizeBytes: integerOption(4 * 1024, GIB),
  compaction: checkCompaction,
  remoteCompaction: checkRemoteCompaction,
  compactionTombstonePercent: integerOption(0, 100),
  blobThresholdBytes: checkBlobThreshold,
  blobGarbagePercent: integerOption(0, 90),
  compactionMaxAgeMs: zeroOrIntegerOption(60_000, 10 * 365 * 86_400_000),
  level0CompactionTrigger: integerOption(1, 1000),
  level0StopTrigger: integerOption(1, 10_000),
  levelBaseSizeBytes: integerOption(4 * 1024, 1024 * GIB),
  levelSizeMultiplier: integerOption(2, 100),
  workerThreads: integerOption(0, 64),
  fenceCheckIntervalMs: integerOption(0, 86_400_000),
  gcIntervalMs: integerOption(0, 30 * 86_400_000),
  gcGraceMs: integerOption(0, 365 * 86_400_000),
  closeTimeoutMs: integerOption(0, 86_400_000),
  prices: pricesOption,
  clock: objectOption('nowMs'),
  random: objectOption('fill'),
}

/** Checks options and fills in the defaults. INVALID names the option, what it was, and what it may be. */
export function engineSettings(options: OpenOptions = {}): EngineSettings {
  checkOptions('open', options, checks)
  const settings: EngineSettings = {
    wal: walSettings(options.wal ?? 'local'),
    takeover: options.takeover ?? 'steal',
    createIfMissing: options.createIfMissing ?? true,
    conflictWindowSizeBytes: options.conflictWindowSizeBytes ?? 16 * MIB,
    ...memorySettings(options.memoryBudget, options),
    maxSealedMemtables: options.maxSealedMemtables ?? 2,
    diskCache: diskCacheSettings(options.diskCache),
    blockSizeBytes: options.blockSizeBytes ?? 16 * 1024,
    blockRestartInterval: options.blockRestartInterval ?? 16,
    compression: [options.compression ?? 'lz4'].flat() as Compression[],
    keyspaces: declaredKeyspaces('open', options, options.keyspaces),
    filterBitsPerKey: options.filterBitsPerKey ?? 10,
    ...compactionSettings(options.compaction ?? 'leveled'),
    remoteCompaction: remoteCompactionSettings(options.remoteCompaction ?? false),
    compactionTombstonePercent: options.compactionTombstonePercent ?? 50,
    blobThresholdBytes: options.blobThresholdBytes ?? 0,
    blobGarbagePercent: options.blobGarbagePercent ?? 50,
    compactionMaxAgeMs: options.compactionMaxAgeMs ?? 0,
    level0CompactionTrigger: options.level0CompactionTrigger ?? 4,
    level0StopTrigger: options.level0StopTrigger ?? 16,
    levelSizeMultiplier: options.levelSizeMultiplier ?? 10,
    workerThreads: options.workerThreads ?? defaultWorkerThreads(),
    fenceCheckIntervalMs: options.fenceCheckIntervalMs ?? 5_000,
    gcIntervalMs: options.gcIntervalMs ?? 6 * 3_600_000,
    gcGraceMs: options.gcGraceMs ?? DEFAULT_GRACE_MS,
    closeTimeoutMs: options.closeTimeoutMs ?? 30_000,
    prices: options.prices && priceTable(options.prices),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
  if (settings.level0StopTrigger <= settings.level0CompactionTrigger) {
    throw new MoraineError(
      'INVALID',
      `level0StopTrigger (${settings.level0StopTrigger}) must be above level0CompactionTrigger (${settings.level0CompactionTrigger}): writes would stop before compaction starts`,
    )
  }
  return settings
}

/** Two, as long as the caller keeps a core: on two cores a second one costs 70 MB and brings nothing. */
function defaultWorkerThreads(): number {
  return Math.max(1, Math.min(2, availableParallelism() - 1))
}

function walSettings(wal: WalOption): WalSettings {
  if (wal === 'none' || (typeof wal === 'object' && wal.kind === 'none')) return { kind: 'none' }
  if (wal === 'object-store' || (typeof wal === 'object' && wal.kind === 'object-store')) {
    const given: StoreWalOption = wal === 'object-store' ? { kind: wal } : wal
    return {
      kind: 'object-store',
      flushIntervalMs: given.flushIntervalMs ?? 1,
      flushSizeBytes: given.flushSizeBytes ?? MIB,
      maxInFlight: given.maxInFlight ?? 4,
    }
  }
  const local: LocalWalOption = wal === 'local' ? { kind: 'local' } : wal
  return {
    kind: 'local',
    folder: local.folder,
    sync: local.sync ?? 'interval',
    syncIntervalMs: local.syncIntervalMs ?? 100,
    foreign: local.foreign ?? 'refuse',
  }
}

function checkWal(value: unknown): string | undefined {
  const kind: unknown = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : value
  if (kind !== 'none' && kind !== 'local' && kind !== 'object-store') {
    return "'none', 'local', 'object-store', { kind: 'local', folder, sync, syncIntervalMs, foreign } or { kind: 'object-store', flushIntervalMs, flushSizeBytes, maxInFlight }"
  }
  if (typeof value !== 'object') return undefined
  if (kind === 'object-store') {
    const storeChecks: OptionChecks<StoreWalOption> = {
      kind: oneOfOption('object-store'),
      flushIntervalMs: integerOption(0, 60_000),
      flushSizeBytes: integerOption(1024, 64 * MIB),
      maxInFlight: integerOption(1, 64),
    }
    checkOptions('wal', value as StoreWalOption, storeChecks)
    return undefined
  }
  const walChecks: OptionChecks<LocalWalOption> = {
    kind: oneOfOption('none', 'local'),
    folder: optional(textOption),
    sync: oneOfOption('always', 'interval', 'never'),
    syncIntervalMs: integerOption(1, 3_600_000),
    foreign: oneOfOption('refuse', 'set-aside'),
  }
  checkOptions('wal', value as LocalWalOption, walChecks)
  return undefined
}
