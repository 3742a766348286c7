import { abortError, MoraineError, onAbort, WaitList } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import type { MessagePort } from 'node:worker_threads'
import type { Origin } from '../../manifest/origin.ts'
import type { BuiltTable } from '../built-table.ts'
import type { ReadableStore } from '../table-store.ts'
import type { FromJob, ToJob } from './job-messages.ts'
import { fromPlainError, toPlainError } from './plain-error.ts'

/** A job under way in a worker, seen from the main thread: serves its reads and takes its tables. */
export class ThreadJob {
  readonly #port: MessagePort
  readonly #storeOf: (origin: Origin | undefined) => ReadableStore
  readonly #account: RequestAccount | undefined
  readonly #changed = new WaitList()
  #table: BuiltTable | undefined
  #end: { readonly error: unknown } | undefined

  constructor(port: MessagePort, storeOf: (origin: Origin | undefined) => ReadableStore, account?: RequestAccount) {
    this.#port = port
    this.#storeOf = storeOf
    this.#account = account
    // The listener also keeps the process alive while the job runs, as a request under way would.
    port.on('message', (message: FromJob) => this.#receive(message))
    port.on('messageerror', (cause) => {
      this.end(new MoraineError('UNAVAILABLE', 'a message of a worker thread could not be read', { cause }))
    })
  }

  /** Ends only when the worker has ended the job or is gone: nobody touches its memtable after that. */
  async *tables(signal: AbortSignal): AsyncGenerator<BuiltTable, void> {
    const cancel = (): void => this.#send({ kind: 'cancel' })
    if (signal.aborted) cancel()
    const unlisten = onAbort(signal, cancel)
    try {
      for (;;) {
        const table = this.#table
        if (table !== undefined) {
          this.#table = undefined
          this.#send({ kind: 'next' })
          yield table
        } else if (this.#end === undefined) {
          await this.#changed.wait()
        } else {
          if (this.#end.error === undefined) return
          throw signal.aborted ? abortError(signal) : this.#end.error
        }
      }
    } finally {
      unlisten()
      if (this.#end === undefined) cancel()
      while (this.#end === undefined) await this.#changed.wait()
    }
  }

  /** The job is over; `error` when it failed. */
  end(error: unknown): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#port.close()
    this.#changed.wakeAll()
  }

  #receive(message: FromJob): void {
    if (message.kind === 'read') {
      void this.#serve(message)
    } else if (message.kind === 'table') {
      this.#table = message.table
      this.#changed.wakeAll()
    } else {
      this.end(message.error === undefined ? undefined : fromPlainError(message.error))
    }
  }

  async #serve({ read, origin, name, offset, length }: FromJob & { kind: 'read' }): Promise<void> {
    try {
      const body = await this.#storeOf(origin).get(name, { range: { offset, length }, account: this.#account })
      if (body === undefined) {
        this.#send({ kind: 'no-bytes', read })
        return
      }
      const { objectSizeBytes } = body
      const owned = body.bytes.buffer.byteLength === body.bytes.byteLength && body.bytes.buffer instanceof ArrayBuffer
      const bytes = owned ? body.bytes : new Uint8Array(body.bytes)
      this.#send({ kind: 'bytes', read, bytes, objectSizeBytes }, [bytes.buffer as ArrayBuffer])
    } catch (error) {
      this.#send({ kind: 'read-failed', read, error: toPlainError(error) })
    }
  }

  /** Nothing happens when the port is closed. */
  #send(message: ToJob, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }
}
