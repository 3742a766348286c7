import { join } from 'node:path'
import { type Clock, type Random, systemClock, systemRandom } from '@moraine/base'
import { FileSink } from '../harness/file-sink.ts'
import type { Job } from '../harness/job.ts'
import { type Progress, runJob, type RunResult } from '../harness/run-job.ts'
import type { AnyExample, ExampleSize } from './example.ts'

/** One life of an example's job: all of it, or as much as the process is given. */
export interface Life extends ExampleSize {
  /** Where exactly the state is. */
  readonly location: string
  /** The folder with a folder for each output. */
  readonly results: string
  readonly parallelism: number
  readonly checkpointEvery: number | undefined
  readonly onProgress: (progress: Progress) => void
  /** Called before every record. */
  readonly onRecord?: () => void
}

export function outputFolder(results: string, output: string): string {
  return join(results, output)
}

/** Runs the job to its end, from where earlier lives have left it. */
export function live(example: AnyExample, life: Life): Promise<RunResult> {
  const { location, results, parallelism, checkpointEvery, onProgress, onRecord } = life
  const job = example.job(life)
  return runJob(onRecord === undefined ? job : watched(job, onRecord), {
    location,
    parallelism,
    sinks: example.outputs.map((output) => new FileSink(output, outputFolder(results, output), systemRandom)),
    ...(checkpointEvery === undefined ? { checkpointEveryMs: 1_000 } : { checkpointEveryRecords: checkpointEvery }),
    onProgress,
  })
}

/** The job with something called before every record. */
export function watched<In, Key>(job: Job<In, Key>, onRecord: () => void): Job<In, Key> {
  return {
    ...job,
    open(context) {
      const operator = job.open(context)
      return {
        process(record) {
          onRecord()
          return operator.process(record)
        },
        onTimer: (timer) => operator.onTimer?.(timer),
      }
    },
  }
}

const MOST_DELAY_MS = 40

/**
 * Kills at a random moment after about so many records: half of the time in the midst of one, else a little later, when the job may
 * be storing a checkpoint, renaming a file or closing.
 */
export function killAfter(records: number, kill: () => void, clock: Clock = systemClock, random: Random = systemRandom): () => void {
  let left = Math.ceil(records * (0.5 + random.next()))
  return () => {
    if (--left !== 0) return
    if (random.next() < 0.5) kill()
    else clock.setTimer(random.next() * MOST_DELAY_MS, kill)
  }
}
