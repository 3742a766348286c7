import { MoraineError } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { Origin } from '../../manifest/origin.ts'
import type { BuiltTable } from '../built-table.ts'
import type { ReadableStore } from '../table-store.ts'
import type { StartJob } from './job-messages.ts'
import { ThreadJob } from './thread-job.ts'

/** A worker makes few objects and none that last; the default would let every thread grow by tens of megabytes. */
const YOUNG_GENERATION_MB = 8

/**
 * One worker thread and its jobs. The thread starts with the first job (about 50 ms and 30 MB) and does not keep the
 * process alive when it has none. When it dies its jobs fail with UNAVAILABLE, to be repeated, and the next job starts
 * another one.
 */
export class WorkerLane {
  readonly #entry: URL
  readonly #storeOf: (origin: Origin | undefined) => ReadableStore
  readonly #jobs = new Set<ThreadJob>()
  #worker: Worker | undefined
  #deathsInARow = 0

  constructor(entry: URL, storeOf: (origin: Origin | undefined) => ReadableStore) {
    this.#entry = entry
    this.#storeOf = storeOf
  }

  get jobCount(): number {
    return this.#jobs.size
  }

  /** How many threads have died since a job was last completed. */
  get deathsInARow(): number {
    return this.#deathsInARow
  }

  async *run(request: StartJob['request'], signal: AbortSignal, account?: RequestAccount): AsyncGenerator<BuiltTable, void> {
    const worker = this.#worker ?? this.#start()
    const { port1, port2 } = new MessageChannel()
    const job = new ThreadJob(port1, this.#storeOf, account)
    this.#jobs.add(job)
    try {
      const start: StartJob = { port: port2, request }
      worker.postMessage(start, [port2])
      yield* job.tables(signal)
      this.#deathsInARow = 0
    } finally {
      port1.close()
      this.#jobs.delete(job)
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #start(): Worker {
    let worker: Worker
    try {
      worker = new Worker(this.#entry, {
        name: 'moraine',
        // How the program itself was given to Node (`--input-type`, `--eval`) says nothing about the worker's file.
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      })
    } catch (cause) {
      this.#deathsInARow++
      throw new MoraineError('UNAVAILABLE', 'a worker thread could not be started', { cause })
    }
    let reason = 'it ended'
    worker.on('error', (error) => {
      reason = error instanceof Error ? error.message : String(error)
    })
    worker.on('exit', () => {
      if (this.#worker === worker) {
        this.#worker = undefined
        this.#deathsInARow++
      }
      const error = new MoraineError('UNAVAILABLE', `the worker thread died in the middle of its work: ${reason}`)
      for (const job of this.#jobs) job.end(error)
    })
    worker.unref()
    this.#worker = worker
    return worker
  }
}
