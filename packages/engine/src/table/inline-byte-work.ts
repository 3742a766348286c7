import { type Clock, timeSlices } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import type { Memtable } from '../memtable/memtable.ts'
import { buildFlush, buildMerge } from './build-job.ts'
import type { ApplicationCode, ByteWork, FlushJob, MergeJob } from './byte-work.ts'
import type { BuiltTable } from './built-table.ts'
import type { TableStore } from './table-store.ts'

/** Byte work on this thread, in slices of time between which everything else runs. Deterministic with a simulated clock. */
export class InlineByteWork implements ByteWork {
  readonly parallelMerges: number
  readonly sharesMemtables = false
  readonly #tables: TableStore
  readonly #clock: Clock

  constructor(options: { tables: TableStore; clock: Clock; parallelMerges?: number }) {
    this.#tables = options.tables
    this.#clock = options.clock
    this.parallelMerges = options.parallelMerges ?? 1
  }

  flush(memtable: Memtable, job: FlushJob, signal: AbortSignal, code?: ApplicationCode): AsyncGenerator<BuiltTable, void> {
    return buildFlush(memtable, job, timeSlices(this.#clock, signal), code)
  }

  merge(job: MergeJob, signal: AbortSignal, code?: ApplicationCode, account?: RequestAccount): AsyncGenerator<BuiltTable, void> {
    return buildMerge(job, this.#tables, timeSlices(this.#clock, signal), code, account)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
