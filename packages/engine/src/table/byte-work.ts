import type { Compression, SstWriterSettings } from '@moraine/sstable'
import type { RequestAccount } from '@moraine/object-store'
import type { SeparationSettings } from '../blob/value-separator.ts'
import type { KeySpan, TableFile } from '../manifest/table-file.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { MergeOperators, OperatorNames } from '../merge/merge-operators.ts'
import type { TableFilters } from './compaction-filter.ts'
import type { BuiltTable } from './built-table.ts'

/** What a flush makes of a memtable: one table a keyspace, or none. Plain data, fit for structured cloning. */
export interface FlushJob {
  readonly writer: SstWriterSettings
  /** Keyspaces whose tables are compressed otherwise than `writer` says. */
  readonly compressions: readonly (readonly [keyspace: string, compression: Compression])[]
  /** Sequence numbers that must stay readable, ascending. */
  readonly snapshots: readonly number[]
  /** What has expired by this wall-clock millisecond is left out. */
  readonly ttlNowMs: number
  /** The merge operators of the keyspaces. */
  readonly operators: OperatorNames
  /** Undefined: no value is separated, and those that are stay where they are. */
  readonly blobs?: SeparationSettings | undefined
}

/**
 * A merge of tables as plain data, fit for structured cloning: whoever can read the tables can do the work, in this
 * thread, in another one, or in another process.
 */
export interface MergeJob extends FlushJob {
  /** Sorted runs: the tables of each are disjoint and in key order, and restricted to what is to be merged. */
  readonly runs: readonly (readonly TableFile[])[]
  /**
   * Where older versions of the merged keys may stand outside of the merge: lists of disjoint spans in key order. A
   * tombstone is kept where one of them covers its key.
   */
  readonly deeper: readonly (readonly KeySpan[])[]
  /** A table is closed at the first key after this many bytes, of its own or of the values written beside it. */
  readonly targetSizeBytes: number
  /** The largest read-ahead window of an input; default 2 MiB. Two of them are in memory for each run. */
  readonly windowBytes?: number
}

/** Code of the application that takes part in byte work. Only the thread that has it can run it. */
export interface ApplicationCode {
  readonly operators: MergeOperators
  /** Of merges only. */
  readonly filters?: TableFilters | undefined
}

/**
 * The work on bytes behind flushes and compactions: reading, merging, compressing, building tables. It knows no manifest
 * and uploads nothing, so it may be done anywhere. Tables come one by one; the next one is built while the caller
 * uploads, and a finished one waits until the caller asks for it, so memory holds two whatever the size of the job.
 * When an iteration ends, early or not, the work no longer touches the memtable.
 */
export interface ByteWork {
  /** How many merges make progress at the same time. */
  readonly parallelMerges: number
  /** Whether memtables must be in shared memory. */
  readonly sharesMemtables: boolean
  /** With code of the application the work is done on this thread. */
  flush(memtable: Memtable, job: FlushJob, signal: AbortSignal, code?: ApplicationCode): AsyncGenerator<BuiltTable, void>
  /**
   * With code of the application likewise. What it reads is charged to `account`, whichever thread it runs in.
   */
  merge(job: MergeJob, signal: AbortSignal, code?: ApplicationCode, account?: RequestAccount): AsyncGenerator<BuiltTable, void>
  close(): Promise<void>
}
