import type { Compression } from '@moraine/sstable'
import { zstdAvailable } from '@moraine/sstable'
import { MAX_TTL_MS } from '../batch/limits.ts'
import { checkKeyspaceName, DEFAULT_KEYSPACE } from '../key/keyspace.ts'
import { LEVEL_COUNT } from '../manifest/version.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import type { CompactionFilter } from '../table/compaction-filter.ts'
import { type KeyspaceSettings, NO_SETTINGS } from '../table/keyspaces.ts'
import { checkOptions, integerOption, type OptionCheck, type OptionChecks, zeroOrIntegerOption } from './option-checks.ts'

/** Settings of a keyspace; the same of the default keyspace are options of `open`. */
export interface KeyspaceOptions {
  /**
   * Makes values out of what `merge` writes. Its name and version are remembered: the keyspace is not opened with another
   * one, nor without one, unless it is one of those that come with Moraine.
   */
  readonly mergeOperator?: MergeOperator
  /** Milliseconds that entries live unless their write says otherwise; remembered. Default: for ever (Infinity). */
  readonly ttlMs?: number
  /** Looks at entries while compactions rewrite them, on the calling thread: it may remove or replace them. */
  readonly compactionFilter?: CompactionFilter
  /** Compression of the keyspace's blocks, as in `open`; default: that of the database. */
  readonly compression?: Compression | readonly Compression[]
  /** Values of at least this size go to blob files, as in `open`; 0: none do. Default: that of the database. */
  readonly blobThresholdBytes?: number
}

export const keyspaceChecks: OptionChecks<KeyspaceOptions> = {
  mergeOperator: checkMergeOperator,
  ttlMs: (value) => (value === Number.POSITIVE_INFINITY ? undefined : integerOption(1, MAX_TTL_MS)(value)),
  compactionFilter: checkCompactionFilter,
  compression: checkCompression,
  blobThresholdBytes: (value) => checkBlobThreshold(value),
}

/** The settings of a keyspace out of its options; INVALID names the option. */
export function keyspaceSettings(call: string, options: KeyspaceOptions = {}): KeyspaceSettings {
  checkOptions(call, options, keyspaceChecks)
  const { mergeOperator, ttlMs, compactionFilter, compression, blobThresholdBytes } = options
  return {
    mergeOperator,
    ttlMs,
    compactionFilter,
    compression: compression === undefined ? undefined : ([compression].flat() as Compression[]),
    blobThresholdBytes,
  }
}

/** The settings of all keyspaces that an opening declares: the default one's among its own options, and the named ones. */
export function declaredKeyspaces(
  call: string,
  { mergeOperator, ttlMs, compactionFilter }: Omit<KeyspaceOptions, 'compression' | 'blobThresholdBytes'>,
  named: Readonly<Record<string, KeyspaceOptions>> = {},
): ReadonlyMap<string, KeyspaceSettings> {
  // How the default keyspace is compressed and separated stands among the settings of the engine.
  const settings = new Map<string, KeyspaceSettings>([[DEFAULT_KEYSPACE, { ...NO_SETTINGS, mergeOperator, ttlMs, compactionFilter }]])
  for (const [name, options] of Object.entries(named)) {
    settings.set(checkKeyspaceName(name), keyspaceSettings(`keyspace '${name}' of ${call}`, options))
  }
  return settings
}

export const keyspacesOption: OptionCheck = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'an object of keyspace options by name'

const LEAST_BLOB_BYTES = 256
const MOST_BLOB_BYTES = 1024 ** 3

export const checkBlobThreshold: OptionCheck = zeroOrIntegerOption(LEAST_BLOB_BYTES, MOST_BLOB_BYTES)

export function checkCompression(value: unknown): string | undefined {
  const words: readonly unknown[] = Array.isArray(value) ? value : [value]
  const known = words.length > 0 && words.length <= LEVEL_COUNT && words.every((word) => COMPRESSIONS.includes(word))
  if (!known) return `'none', 'lz4' or 'zstd', or a list of 1 to ${LEVEL_COUNT} of these, one a level`
  if (words.includes('zstd') && !zstdAvailable) return `'none' or 'lz4' here: zstd needs Node 22.15 or newer`
  return undefined
}

const COMPRESSIONS: readonly unknown[] = ['none', 'lz4', 'zstd'] satisfies Compression[]

export function checkCompactionFilter(value: unknown): string | undefined {
  const { name, filter } = (typeof value === 'object' && value !== null ? value : {}) as Partial<CompactionFilter>
  return typeof name === 'string' && name !== '' && typeof filter === 'function' ? undefined : 'an object { name, filter(key, value, context) }'
}

function checkMergeOperator(value: unknown): string | undefined {
  const { name, version, merge, combine, check } = (typeof value === 'object' && value !== null ? value : {}) as Partial<MergeOperator>
  const named = typeof name === 'string' && /^[\w.-]{1,64}$/.test(name) && Number.isSafeInteger(version) && (version as number) >= 1
  const optional = [combine, check].every((part) => part === undefined || typeof part === 'function')
  if (named && typeof merge === 'function' && optional) return undefined
  return 'an object { name (1 to 64 letters, digits, _ - .), version (a whole number from 1), merge(key, base, operands), combine?, check? }'
}
