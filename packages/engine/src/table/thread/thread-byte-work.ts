import type { RequestAccount } from '@moraine/object-store'
import type { Origin } from '../../manifest/origin.ts'
import type { Memtable } from '../../memtable/memtable.ts'
import type { ApplicationCode, ByteWork, FlushJob, MergeJob } from '../byte-work.ts'
import type { BuiltTable } from '../built-table.ts'
import type { ReadableStore } from '../table-store.ts'
import { WorkerLane } from './worker-lane.ts'

/** Less than this is done on the spot: handing it over, and perhaps starting a thread, would take longer. */
const INLINE_BYTES = 1024 * 1024

/** Threads that die so often in a row will not live (no permission, a bundle without the worker's file, no memory). */
const MAX_DEATHS_IN_A_ROW = 3

export interface ThreadByteWorkOptions {
  /** The worker's program. */
  readonly entry: URL
  /** 1 or more. With two or more the first is for flushes only: they must not wait behind a long merge. */
  readonly threads: number
  /** Where the tables of an origin are read. */
  readonly storeOf: (origin: Origin | undefined) => ReadableStore
  /** Does what is small, and everything when threads do not live. */
  readonly inline: ByteWork
}

/** Byte work in worker threads. Results are byte for byte those of the inline work. */
export class ThreadByteWork implements ByteWork {
  readonly parallelMerges: number
  readonly sharesMemtables = true
  readonly #inline: ByteWork
  readonly #flushLane: WorkerLane
  readonly #mergeLanes: readonly WorkerLane[]

  constructor(options: ThreadByteWorkOptions) {
    const lane = (): WorkerLane => new WorkerLane(options.entry, options.storeOf)
    this.#inline = options.inline
    this.#flushLane = lane()
    this.#mergeLanes = options.threads < 2 ? [this.#flushLane] : Array.from({ length: options.threads - 1 }, lane)
    this.parallelMerges = this.#mergeLanes.length
  }

  flush(memtable: Memtable, job: FlushJob, signal: AbortSignal, code?: ApplicationCode): AsyncGenerator<BuiltTable, void> {
    if (code !== undefined) return this.#inline.flush(memtable, job, signal, code)
    const lane = this.#flushLane
    if (memtable.rawBytes < INLINE_BYTES || !isUsable(lane)) return this.#inline.flush(memtable, job, signal)
    return lane.run({ kind: 'flush', image: memtable.image(), job }, signal)
  }

  merge(job: MergeJob, signal: AbortSignal, code?: ApplicationCode, account?: RequestAccount): AsyncGenerator<BuiltTable, void> {
    if (code !== undefined) return this.#inline.merge(job, signal, code, account)
    const bytes = job.runs.reduce((sum, files) => files.reduce((size, file) => size + file.rawBytes, sum), 0)
    const lane = this.#mergeLanes.reduce((least, other) => (other.jobCount < least.jobCount ? other : least))
    if (bytes < INLINE_BYTES || !isUsable(lane)) return this.#inline.merge(job, signal, undefined, account)
    return lane.run({ kind: 'merge', job }, signal, account)
  }

  async close(): Promise<void> {
    await Promise.all([this.#flushLane, ...this.#mergeLanes].map((lane) => lane.close()))
  }
}

function isUsable(lane: WorkerLane): boolean {
  return lane.deathsInARow < MAX_DEATHS_IN_A_ROW
}
