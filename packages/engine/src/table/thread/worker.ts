/** The program of a worker thread: builds the tables of flushes and merges. See job-messages.ts for the conversation. */
import { Deferred, MoraineError, systemClock, timeSlices } from '@moraine/base'
import type { ObjectBody } from '@moraine/object-store'
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { Origin } from '../../manifest/origin.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { buildFlush, buildMerge, type Pause } from '../build-job.ts'
import type { MergeJob } from '../byte-work.ts'
import type { BuiltTable } from '../built-table.ts'
import { type ReadableStore, TableStore } from '../table-store.ts'
import type { FromJob, StartJob, ToJob } from './job-messages.ts'
import { fromPlainError, toPlainError } from './plain-error.ts'

class WorkerJob {
  readonly #port: MessagePort
  readonly #abort = new AbortController()
  readonly #reads = new Map<number, Deferred<ObjectBody | undefined>>()
  #lastRead = 0
  #taken: Deferred<void> | undefined

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (message: ToJob) => this.#receive(message))
  }

  async run(request: StartJob['request']): Promise<void> {
    let error: unknown
    try {
      const pause = timeSlices(systemClock, this.#abort.signal)
      for await (const table of this.#build(request, pause)) {
        this.#taken = new Deferred()
        this.#send({ kind: 'table', table }, buffersOf(table))
        await this.#taken.promise
      }
    } catch (thrown) {
      error = thrown
    }
    this.#send({ kind: 'end', error: error === undefined ? undefined : toPlainError(error) })
    this.#port.close()
  }

  async *#build(request: StartJob['request'], pause: Pause): AsyncGenerator<BuiltTable, void> {
    if (request.kind === 'merge') {
      yield* this.#merge(request.job, pause)
      return
    }
    const memtable = Memtable.attach(request.image)
    try {
      yield* buildFlush(memtable, request.job, pause)
    } finally {
      memtable.release()
    }
  }

  #merge(job: MergeJob, pause: Pause): AsyncGenerator<BuiltTable, void> {
    // Every block is read once: nothing to keep but the metadata of the tables that are open.
    const caches = { blockCacheSizeBytes: 0, metadataCacheSizeBytes: Number.POSITIVE_INFINITY }
    return buildMerge(job, new TableStore((origin) => this.#storeOf(origin), caches), pause)
  }

  #storeOf(origin: Origin | undefined): ReadableStore {
    return {
      get: (name, options) => {
        const range = options?.range
        if (range === undefined || 'suffix' in range) throw new MoraineError('INTERNAL', 'a merge reads by offset only')
        const reading = new Deferred<ObjectBody | undefined>()
        const read = ++this.#lastRead
        this.#reads.set(read, reading)
        this.#send({ kind: 'read', read, origin, name, ...range })
        return reading.promise
      },
    }
  }

  #receive(message: ToJob): void {
    if (message.kind === 'next') this.#taken?.resolve()
    else if (message.kind === 'cancel') this.#cancel()
    else {
      const reading = this.#reads.get(message.read)
      this.#reads.delete(message.read)
      if (message.kind === 'bytes') reading?.resolve({ bytes: message.bytes, objectSizeBytes: message.objectSizeBytes })
      else if (message.kind === 'no-bytes') reading?.resolve(undefined)
      else reading?.reject(fromPlainError(message.error))
    }
  }

  #cancel(): void {
    const reason = new MoraineError('ABORTED', 'the job was cancelled')
    this.#abort.abort(reason)
    this.#taken?.reject(reason)
    for (const reading of this.#reads.values()) reading.reject(reason)
    this.#reads.clear()
  }

  #send(message: FromJob, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }
}

function buffersOf({ parts, blobs }: BuiltTable): ArrayBuffer[] {
  return [parts, ...blobs.files.map((blob) => blob.parts)].flat().map((part) => part.buffer as ArrayBuffer)
}

parentPort?.on('message', ({ port, request }: StartJob) => void new WorkerJob(port).run(request))
