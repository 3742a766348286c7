import { type CallLimits, type Clock, type Random, systemClock, systemRandom } from '@moraine/base'
import { type PriceTable, priceTable, type PriceTableName } from '@moraine/object-store'
import { openReaderEngine } from '../recovery/open-reader.ts'
import type { ReaderEvents } from '../recovery/reader-event.ts'
import type { ReaderSettings } from '../recovery/reader-settings.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import { limitChecks } from './call-options.ts'
import { checkpointOption } from './checkpoint-options.ts'
import { DbReader } from './db-reader.ts'
import { checkDiskCache, type DiskCacheOption, diskCacheSettings } from './disk-cache-option.ts'
import { EventListeners } from './event-listeners.ts'
import { declaredKeyspaces, keyspaceChecks, type KeyspaceOptions, keyspacesOption } from './keyspace-options.ts'
import { type MemoryBudgetOption, memoryBudgetOption, memorySettings } from './memory-option.ts'
import { openLimited } from './open-limited.ts'
import { type Location, resolveLocation } from './open.ts'
import { checkOptions, integerOption, objectOption, type OptionChecks, pricesOption } from './option-checks.ts'

/** Options of `openReader`. Sizes are in bytes, times in milliseconds. `signal` and `timeoutMs` end the opening only. */
export interface OpenReaderOptions extends CallLimits {
  /** Read this checkpoint (id or name), frozen. Default: follow the newest manifest. */
  readonly checkpoint?: string
  /** How often a reader that follows looks for something new, one or two requests each time; 0 only when `refresh` is called. Default 1000. */
  readonly refreshIntervalMs?: number
  /**
   * How long the files being read stay protected when this process can no longer say that it needs them. A number is that
   * time; the lease is renewed three times in it, one request each. Default 600000. `false` writes nothing, for credentials
   * that may only read: then a file may be collected while it is being read.
   */
  readonly lease?: boolean | number
  /** Memory for caches and read-ahead together: see `OpenOptions`. */
  readonly memoryBudget?: MemoryBudgetOption
  /** Decoded blocks kept in memory; default 64 MiB, with a budget what is left of it. */
  readonly blockCacheSizeBytes?: number
  /** Indexes and filters of open tables kept in memory; default 64 MiB, with a budget what is left of it. */
  readonly metadataCacheSizeBytes?: number
  /** A cache of blocks on the local disk below the one in memory; default none. */
  readonly diskCache?: DiskCacheOption
  /** The merge operator of the default keyspace, when it is not one of those that come with Moraine. */
  readonly mergeOperator?: MergeOperator
  /** Settings of named keyspaces by name; `reader.keyspace` takes the same later. */
  readonly keyspaces?: Readonly<Record<string, KeyspaceOptions>>
  /** What `stats().cost` counts dollars by; default by the location, as of `open`. */
  readonly prices?: PriceTableName | PriceTable
  /** Time source; a simulation passes its own. */
  readonly clock?: Clock
  /** Source of randomness; a simulation passes its own. */
  readonly random?: Random
}

const MIB = 1024 * 1024
const TIB = MIB * MIB
const DEFAULT_LEASE_MS = 600_000
const leaseLength = integerOption(1_000, 30 * 86_400_000)

const checks: OptionChecks<OpenReaderOptions> = {
  checkpoint: checkpointOption,
  refreshIntervalMs: integerOption(0, 86_400_000),
  lease: (value) => (typeof value === 'boolean' || leaseLength(value) === undefined ? undefined : `true, false or ${leaseLength(value)}`),
  ...limitChecks,
  memoryBudget: memoryBudgetOption,
  blockCacheSizeBytes: integerOption(0, TIB),
  metadataCacheSizeBytes: integerOption(0, TIB),
  diskCache: checkDiskCache,
  mergeOperator: keyspaceChecks.mergeOperator,
  keyspaces: keyspacesOption,
  prices: pricesOption,
  clock: objectOption('nowMs'),
  random: objectOption('fill'),
}

/**
 * Opens a database for reading, beside its writer or without one. Any number of processes may read. Nothing is written but
 * a pin, which keeps what is being read from being collected. INVALID when there is no database or no such checkpoint.
 */
export async function openReader(location: Location, options: OpenReaderOptions = {}): Promise<DbReader> {
  checkOptions('openReader', options, checks)
  const settings = readerSettings(options)
  return await openLimited('openReader', options, settings.clock, async (signal) => {
    const { site, owned } = resolveLocation(location)
    const events = new EventListeners<ReaderEvents>(['refresh', 'error'])
    try {
      const engine = await openReaderEngine(site, settings, (name, payload) => events.emit(name, payload), signal)
      return new DbReader(engine, events)
    } catch (error) {
      if (owned) await site.root.close()
      throw error
    }
  })
}

function readerSettings(options: OpenReaderOptions): ReaderSettings {
  const { lease = true } = options
  const leaseMs = lease === true ? DEFAULT_LEASE_MS : lease
  const { memoryBudget, blockCacheSizeBytes, metadataCacheSizeBytes } = memorySettings(options.memoryBudget, options)
  return {
    checkpoint: options.checkpoint,
    refreshIntervalMs: options.refreshIntervalMs ?? 1_000,
    leaseMs: leaseMs === false ? undefined : leaseMs,
    memoryBudget,
    blockCacheSizeBytes,
    metadataCacheSizeBytes,
    diskCache: diskCacheSettings(options.diskCache),
    keyspaces: declaredKeyspaces('openReader', options, options.keyspaces),
    prices: options.prices && priceTable(options.prices),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}
