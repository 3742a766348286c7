import type { JsonValue } from 'moraine'
import type { Job } from '../harness/job.ts'

/** How much of an example to run. */
export interface ExampleSize {
  readonly records: number
  readonly seed: number
}

/** A stream job with a known answer. */
export interface Example<In, Key> {
  /** Its folder. */
  readonly name: string
  /** What it shows, in a line or a few. */
  readonly summary: string
  readonly defaultRecords: number
  readonly mostRecords: number
  /** The names of its sinks. */
  readonly outputs: readonly string[]
  job(size: ExampleSize): Job<In, Key>
  /** The rows of each output, in any order, as a plain program in memory works them out that knows nothing of state or checkpoints. */
  answer(size: ExampleSize): Promise<Readonly<Record<string, readonly JsonValue[]>>>
  /** A few lines about the rows for people. */
  highlights(rows: Readonly<Record<string, readonly JsonValue[]>>): readonly string[]
}

/** One whose types nobody needs to know. */
// oxlint-disable-next-line typescript/no-explicit-any -- a record goes from the source of a job to the functions of the same job only
export type AnyExample = Example<any, any>
