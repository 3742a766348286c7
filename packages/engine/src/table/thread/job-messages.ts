import type { MoraineErrorCode, MoraineErrorDetail } from '@moraine/base'
import type { MessagePort } from 'node:worker_threads'
import type { Origin } from '../../manifest/origin.ts'
import type { MemtableImage } from '../../memtable/memtable.ts'
import type { FlushJob, MergeJob } from '../byte-work.ts'
import type { BuiltTable } from '../built-table.ts'

/*
 * A job has a channel of its own, so a worker may have several under way.
 *
 *   main thread                              worker
 *     start (with the port) ----------------->
 *     <-- read (merge only) ------------------    any number at once; the main thread owns the store
 *     bytes | no-bytes | read-failed -------->
 *     <-- table ------------------------------    its buffers are handed over
 *     next ---------------------------------->    the table was taken: build the following one
 *     cancel -------------------------------->    at any time
 *     <-- end --------------------------------    last message: the worker touches nothing of the job any more
 */

export interface StartJob {
  readonly port: MessagePort
  readonly request:
    | { readonly kind: 'flush'; readonly image: MemtableImage; readonly job: FlushJob }
    | { readonly kind: 'merge'; readonly job: MergeJob }
}

/** What the main thread says to a job. */
export type ToJob =
  | { readonly kind: 'next' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'bytes'; readonly read: number; readonly bytes: Uint8Array; readonly objectSizeBytes: number }
  | { readonly kind: 'no-bytes'; readonly read: number }
  | { readonly kind: 'read-failed'; readonly read: number; readonly error: PlainError }

/** What a job says to the main thread. */
export type FromJob =
  | { readonly kind: 'table'; readonly table: BuiltTable }
  | { readonly kind: 'end'; readonly error: PlainError | undefined }
  | {
      readonly kind: 'read'
      readonly read: number
      readonly origin: Origin | undefined
      readonly name: string
      readonly offset: number
      readonly length: number
    }

/** An error that crosses threads: structured cloning would forget its class and its code. */
export interface PlainError {
  readonly code: MoraineErrorCode
  readonly message: string
  readonly detail: MoraineErrorDetail
}
