import type { RemoteCompactionSettings } from '../compaction/remote/remote-offers.ts'
import { checkOptions, integerOption, type OptionChecks } from './option-checks.ts'

/** When compactions are offered to `moraine compactor` processes. Times in milliseconds. */
export interface RemoteCompactionOption {
  /** A compactor that gives no sign of life for so long has lost its job to the next one, and after twice that to the owner; default 30000. */
  readonly leaseMs?: number
  /** A job that no compactor takes in this time is done by the owner; default 10000. */
  readonly takeBackAfterMs?: number
  /** Compactions of fewer bytes are not offered; default 64 MiB. */
  readonly minSizeBytes?: number
}

const checks: OptionChecks<RemoteCompactionOption> = {
  leaseMs: integerOption(100, 86_400_000),
  takeBackAfterMs: integerOption(100, 86_400_000),
  minSizeBytes: integerOption(0, Number.MAX_SAFE_INTEGER),
}

export function checkRemoteCompaction(value: unknown): string | undefined {
  if (value === false) return undefined
  if (typeof value !== 'object' || value === null) return 'false or { leaseMs, takeBackAfterMs, minSizeBytes }'
  checkOptions('remoteCompaction', value as RemoteCompactionOption, checks)
  return undefined
}

export function remoteCompactionSettings(option: false | RemoteCompactionOption): RemoteCompactionSettings | undefined {
  if (option === false) return undefined
  const { leaseMs = 30_000, takeBackAfterMs = 10_000, minSizeBytes = 64 * 1024 * 1024 } = option
  return { leaseMs, takeBackAfterMs, minSizeBytes }
}
