import type { SstWriterSettings } from '@moraine/sstable'
import type { ValueSeparator } from '../blob/value-separator.ts'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import type { MergeOperators } from '../merge/merge-operators.ts'
import type { TableFilters } from './compaction-filter.ts'
import type { RangeIsBottommost } from './tombstone-feed.ts'

/** What tables are built by. */
export interface BuildRequest {
  /** How a table of a keyspace is written. */
  readonly writerOf: (keyspace: string) => SstWriterSettings
  /** Sequence numbers that must stay readable, ascending. */
  readonly snapshots: readonly number[]
  /** What has expired by this wall-clock millisecond goes; at most the time of the oldest snapshot. */
  readonly ttlNowMs: number
  readonly operators: MergeOperators
  /** A table is closed at the first key after this many bytes; Infinity for one table a keyspace. */
  readonly targetSizeBytes: number
  /** The range tombstones of the source. */
  readonly tombstones: RangeTombstones | undefined
  /** Whether entries of the source may have envelopes: then every value of the tables gets one. */
  readonly enveloped: boolean
  /** The large values of enveloped tables; undefined when none is or is to be separated. */
  readonly separator: ValueSeparator | undefined
  /** Whether no older version of a key can exist outside the source. Asked with rising keys. */
  readonly isBottommost: (key: Uint8Array, keyStart: number, keyEnd: number) => boolean
  readonly isRangeBottommost: RangeIsBottommost
  /** Look at the newest version of every key that no snapshot can see. */
  readonly filters?: TableFilters | undefined
  /** Called every few hundred entries; a promise it returns is awaited, so that long builds let other work run. */
  readonly pause: () => Promise<void> | undefined
}
