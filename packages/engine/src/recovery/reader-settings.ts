import type { Clock, Random } from '@moraine/base'

/** Every setting of a reader, checked and complete. Sizes in bytes, times in milliseconds. */
export interface ReaderSettings {
  /** Id or name; undefined to follow the newest manifest. */
  readonly checkpoint: string | undefined
  /** 0: only when asked. */
  readonly refreshIntervalMs: number
  /** Undefined: the reader writes nothing at all. */
  readonly leaseMs: number | undefined
  readonly blockCacheSizeBytes: number
  readonly metadataCacheSizeBytes: number
  readonly clock: Clock
  readonly random: Random
}
