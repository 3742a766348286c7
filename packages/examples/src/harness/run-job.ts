import { type Clock, isMoraineError, MoraineError, type Random, systemClock, systemRandom, timeSlices } from '@moraine/base'
import type { Location } from 'moraine'
import { Instances, type StateOptions } from './instances.ts'
import type { Job, OutputSink } from './job.ts'
import { RoundReader } from './round-reader.ts'
import { END_OF_TIME, Watermarks } from './watermarks.ts'

/** How to run a job. Times in milliseconds. */
export interface RunOptions {
  readonly location: Location
  /** Instances of the operator, 1 to 128; default 1. A location stays with the number it began with; see `rescaleJob`. */
  readonly parallelism?: number
  readonly sinks?: readonly OutputSink[]
  /** A checkpoint is taken when either has gone by since the last one began; default: 10 seconds, and any number of records. */
  readonly checkpointEveryMs?: number
  readonly checkpointEveryRecords?: number
  /** See `RoundReaderOptions`; default: no partition is ever idle. */
  readonly idleAfterMs?: number
  /** Stops the job at the next moment of rest, with a checkpoint; the watermark does not move on. */
  readonly signal?: AbortSignal
  /** How often a failed job starts again from its newest checkpoint; default 0. FENCED, INVALID and CLOSED end it at once. */
  readonly maxRestarts?: number
  readonly restartDelayMs?: number
  /** Called at moments of rest, after every round. */
  readonly onProgress?: (progress: Progress) => void
  /** Told of failures that the job survives: those before a restart, and what the state backend reports. */
  readonly onError?: (error: unknown) => void
  readonly state?: StateOptions
  readonly clock?: Clock
  readonly random?: Random
}

export interface Progress {
  /** Records that stand behind the job, those of earlier runs included. */
  readonly records: number
  readonly checkpoints: number
  readonly watermark: number | undefined
}

export interface RunResult {
  /** The source has ended and all timers have fired; false: stopped by the signal. */
  readonly finished: boolean
  readonly records: number
  /** Those that this call has processed, some twice when it had to restart. */
  readonly processed: number
  readonly checkpoints: number
  readonly restarts: number
}

/**
 * Runs a stream job in this process until its source ends or it is stopped, from where its newest checkpoint left it:
 *
 *   round        one batch of every partition, processed with many keys in flight and every key in order
 *   watermark    moved at the end of a round; timers that are due fire before the next one
 *   checkpoint   of states, timers, offsets and sinks as one, begun between rounds and stored while the job goes on
 *   restart      from the newest checkpoint: state, offsets and what the sinks show are of one moment, so that every record
 *                counts once in the result, however often it was read
 *
 * One process, one operator: nothing here finds a free machine, and nothing watches the process. Two that run the same job
 * do no harm: the later one fences off the earlier, which fails with FENCED.
 */
export async function runJob<In, Key>(job: Job<In, Key>, options: RunOptions): Promise<RunResult> {
  const settings = checked(options)
  const totals = { processed: 0, checkpoints: 0 }
  for (let restarts = 0; ; restarts++) {
    try {
      return { ...(await runOnce(job, settings, totals)), ...totals, restarts }
    } catch (error) {
      const hopeless = isMoraineError(error, 'FENCED') || isMoraineError(error, 'INVALID') || isMoraineError(error, 'CLOSED')
      if (hopeless || restarts >= settings.maxRestarts || settings.signal?.aborted === true) throw error
      settings.onError(error)
      await new Promise<void>((resolve) => settings.clock.setTimer(settings.restartDelayMs, resolve))
    }
  }
}

interface Totals {
  processed: number
  checkpoints: number
}

type Settings = ReturnType<typeof checked>

async function runOnce<In, Key>(job: Job<In, Key>, settings: Settings, totals: Totals): Promise<Pick<RunResult, 'finished' | 'records'>> {
  const { clock, signal, onProgress } = settings
  const { source } = job
  const instances = await Instances.open(job, settings)
  let reader: RoundReader<In> | undefined
  try {
    const { restored } = instances
    const offsets = restored === undefined ? Array.from({ length: source.partitions }, () => 0) : [...restored.offsets]
    const watermarks = new Watermarks(source.partitions, job.outOfOrdernessMs, restored?.greatestTimes)
    const records = (): number => offsets.reduce((a, b) => a + b, 0)
    if (restored?.finished === true) return { finished: true, records: records() }

    const takeCheckpoint = async (finished: boolean): Promise<{ complete: Promise<void> }> => {
      const { complete } = await instances.checkpoint({ offsets: [...offsets], greatestTimes: watermarks.seen(), finished })
      return { complete: complete.then(() => void totals.checkpoints++) }
    }
    const checkpoints = new BackgroundCheckpoints(settings, takeCheckpoint)
    if (!instances.hasOwnCheckpoint) await checkpoints.takeNow(false)

    reader = new RoundReader(source, offsets, settings)
    // The job is all microtasks when its state is in memory and its source is quick; this lets timers and I/O have their turn.
    const pause = timeSlices(clock, new AbortController().signal)
    for (let round = await reader.next(signal); round !== undefined; round = await reader.next(signal)) {
      let count = 0
      for (const batch of round) {
        for (const record of batch.records) watermarks.observe(batch.partition, job.timeOf(record))
        count += batch.records.length
      }
      await instances.process(round.length === 1 ? (round[0]?.records ?? []) : round.flatMap((batch) => batch.records))
      for (const batch of round) offsets[batch.partition] = (offsets[batch.partition] as number) + batch.records.length
      totals.processed += count
      const watermark = watermarks.of(reader.active)
      if (watermark !== undefined) await instances.advanceWatermark(watermark)
      await checkpoints.takeWhenDue(count)
      onProgress({ records: records(), checkpoints: totals.checkpoints, watermark: instances.watermark })
      const waiting = pause()
      if (waiting !== undefined) await waiting
    }
    const finished = reader.hasEnded
    if (finished) await instances.advanceWatermark(END_OF_TIME)
    await checkpoints.takeNow(finished)
    return { finished, records: records() }
  } finally {
    reader?.close()
    await instances.close()
  }
}

/** Begins a checkpoint, and resolves when the job may go on. */
type Take = (finished: boolean) => Promise<{ readonly complete: Promise<void> }>

/** At most one checkpoint at a time; a failed one ends the job at the next moment of rest. */
class BackgroundCheckpoints {
  readonly #settings: Settings
  readonly #take: Take
  #records = 0
  #beganMs: number
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(settings: Settings, take: Take) {
    this.#settings = settings
    this.#take = take
    this.#beganMs = settings.clock.monotonicMs()
  }

  /** Begins one when it is time to. Waits for its completion only when the next is due before that. */
  async takeWhenDue(records: number): Promise<void> {
    this.#throwFailure()
    const { clock, checkpointEveryMs, checkpointEveryRecords } = this.#settings
    this.#records += records
    if (this.#records < checkpointEveryRecords && clock.monotonicMs() - this.#beganMs < checkpointEveryMs) return
    await this.#running
    this.#throwFailure()
    this.#records = 0
    this.#beganMs = clock.monotonicMs()
    const { complete } = await this.#take(false)
    this.#running = complete.catch((error: unknown) => {
      this.#failure ??= { error }
    })
  }

  async takeNow(finished: boolean): Promise<void> {
    await this.#running
    this.#throwFailure()
    const { complete } = await this.#take(finished)
    await complete
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

function checked(options: RunOptions) {
  const { parallelism = 1, checkpointEveryMs = 10_000, checkpointEveryRecords = Number.MAX_SAFE_INTEGER, maxRestarts = 0, restartDelayMs = 0 } = options
  const least: readonly (readonly [string, number, number])[] = [
    ['parallelism', parallelism, 1],
    ['checkpointEveryMs', checkpointEveryMs, 1],
    ['checkpointEveryRecords', checkpointEveryRecords, 1],
    ['idleAfterMs', options.idleAfterMs ?? 1, 1],
    ['maxRestarts', maxRestarts, 0],
    ['restartDelayMs', restartDelayMs, 0],
  ]
  for (const [name, value, from] of least) {
    if (!Number.isSafeInteger(value) || value < from) throw new MoraineError('INVALID', `${name} must be a whole number from ${from} on, not ${String(value)}`)
  }
  if (parallelism > 128) throw new MoraineError('INVALID', `parallelism must be at most 128, not ${parallelism}: there are 128 key groups`)
  return {
    location: options.location,
    parallelism,
    sinks: options.sinks ?? [],
    checkpointEveryMs,
    checkpointEveryRecords,
    idleAfterMs: options.idleAfterMs,
    signal: options.signal,
    maxRestarts,
    restartDelayMs,
    onProgress: options.onProgress ?? (() => {}),
    onError: options.onError ?? (() => {}),
    state: options.state ?? {},
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}
