import { type Clock, MoraineError } from '@moraine/base'
import type { Source } from './source.ts'

/** A batch of one partition. */
export interface PartitionBatch<T> {
  readonly partition: number
  readonly records: readonly T[]
}

export interface RoundReaderOptions {
  /**
   * A partition that gives nothing for so long is idle: it is not waited for, and does not hold back the watermark, until it
   * gives something again. Undefined: every partition is waited for, however long it takes.
   */
  readonly idleAfterMs?: number | undefined
  readonly clock: Clock
}

type State = 'active' | 'idle' | 'ended'

class PartitionReader<T> {
  readonly partition: number
  state: State = 'active'
  arrived: readonly T[] | undefined
  /** Resolves when something has come, or has gone wrong. */
  pulling: Promise<void> | undefined
  failure: { readonly error: unknown } | undefined
  readonly #iterator: AsyncIterator<readonly T[]> | Iterator<readonly T[]>

  constructor(source: Source<T>, partition: number, offset: number) {
    this.partition = partition
    const batches = source.read(partition, offset)
    this.#iterator = Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]()
  }

  get isMissing(): boolean {
    return this.state !== 'ended' && this.arrived === undefined
  }

  /** Asks for the next batch, once. */
  pull(): void {
    if (this.isMissing) this.pulling ??= this.#pull()
  }

  async #pull(): Promise<void> {
    try {
      const next = await this.#iterator.next()
      if (next.done === true) this.state = 'ended'
      else this.arrived = next.value
    } catch (error) {
      this.failure = { error }
    }
    this.pulling = undefined
  }

  close(): void {
    // Not waited for: a source that hangs in `next` would hang here, too.
    void Promise.resolve(this.#iterator.return?.()).catch(() => {})
  }
}

/**
 * Reads a source in rounds: one batch of every partition that is not idle, in the order of partitions. So partitions move
 * forward together, and what a round consists of depends on the offsets alone as long as no partition falls idle.
 */
export class RoundReader<T> {
  readonly #partitions: readonly PartitionReader<T>[]
  readonly #options: RoundReaderOptions

  constructor(source: Source<T>, offsets: readonly number[], options: RoundReaderOptions) {
    if (offsets.length !== source.partitions) {
      throw new MoraineError('INVALID', `the checkpoint knows ${offsets.length} partitions, and the source has ${source.partitions}: the number cannot change`)
    }
    this.#partitions = offsets.map((offset, partition) => new PartitionReader(source, partition, offset))
    this.#options = options
  }

  /** Partitions that have neither ended nor fallen idle: those that the watermark waits for. */
  get active(): readonly number[] {
    return this.#partitions.flatMap(({ state, partition }) => (state === 'active' ? [partition] : []))
  }

  get hasEnded(): boolean {
    return this.#partitions.every(({ state }) => state === 'ended')
  }

  /** The next round; undefined when all partitions have ended or the signal has fired. */
  async next(signal?: AbortSignal): Promise<PartitionBatch<T>[] | undefined> {
    const abort = aborted(signal)
    try {
      for (;;) {
        for (const reader of this.#partitions) reader.pull()
        await this.#settle(abort.promise, signal)
        for (const { failure } of this.#partitions) if (failure !== undefined) throw failure.error
        if (signal?.aborted === true || this.hasEnded) return undefined
        const round = this.#take()
        if (round.length > 0) return round
        // All that have not ended are idle, or gave an empty batch.
        const idle = this.#partitions.flatMap(({ pulling }) => pulling ?? [])
        if (idle.length > 0) await Promise.race([...idle, abort.promise])
      }
    } finally {
      abort.stop()
    }
  }

  close(): void {
    for (const reader of this.#partitions) reader.close()
  }

  /** Waits until every active partition has given a batch, ended or fallen idle. */
  async #settle(abort: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const { idleAfterMs, clock } = this.#options
    let isTime = false
    let fire: () => void = () => {}
    const time = new Promise<void>((resolve) => (fire = resolve))
    const timer =
      idleAfterMs === undefined
        ? undefined
        : clock.setTimer(idleAfterMs, () => {
            isTime = true
            fire()
          })
    try {
      for (;;) {
        const missing = this.#partitions.filter((reader) => reader.state === 'active' && reader.isMissing)
        if (missing.length === 0 || signal?.aborted === true || missing.some(({ failure }) => failure !== undefined)) return
        if (isTime) {
          for (const reader of missing) reader.state = 'idle'
          return
        }
        await Promise.race([...missing.flatMap(({ pulling }) => pulling ?? []), time, abort])
      }
    } finally {
      timer?.cancel()
    }
  }

  #take(): PartitionBatch<T>[] {
    const round: PartitionBatch<T>[] = []
    for (const reader of this.#partitions) {
      if (reader.arrived === undefined) continue
      if (reader.arrived.length > 0) round.push({ partition: reader.partition, records: reader.arrived })
      reader.arrived = undefined
      reader.state = 'active'
    }
    return round
  }
}

/** A promise that resolves when the signal fires, and the end of listening to it. */
function aborted(signal: AbortSignal | undefined): { promise: Promise<void>; stop: () => void } {
  if (signal === undefined) return { promise: new Promise(() => {}), stop: () => {} }
  let resolve: () => void = () => {}
  const promise = new Promise<void>((done) => (resolve = done))
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', resolve, { once: true })
  return { promise, stop: () => signal.removeEventListener('abort', resolve) }
}
