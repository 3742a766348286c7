import { MoraineError } from '@moraine/base'

/** Later than everything: the watermark behind the end of all partitions. */
export const END_OF_TIME: number = Number.MAX_SAFE_INTEGER

/**
 * Event time as the records of each partition tell it. The watermark says: nothing at or before this time is still to come. Of
 * a partition it is the greatest time seen, less how far records may be out of order, less one: a record that lags by exactly
 * that much is not late. Of the job it is the least of its partitions, so that a slow one is waited for.
 */
export class Watermarks {
  readonly #outOfOrdernessMs: number
  readonly #greatest: (number | undefined)[]

  /** `greatest` is what an earlier run has seen; see `seen`. */
  constructor(partitions: number, outOfOrdernessMs: number, greatest: readonly (number | null)[] = []) {
    if (!Number.isSafeInteger(outOfOrdernessMs) || outOfOrdernessMs < 0) {
      throw new MoraineError('INVALID', `outOfOrdernessMs must be a whole number of milliseconds from 0 on, not ${String(outOfOrdernessMs)}`)
    }
    this.#outOfOrdernessMs = outOfOrdernessMs
    this.#greatest = Array.from({ length: partitions }, (_, partition) => greatest[partition] ?? undefined)
  }

  /** The time of one record, milliseconds. */
  observe(partition: number, timeMs: number): void {
    if (!Number.isSafeInteger(timeMs)) {
      throw new MoraineError('INVALID', `the time of a record must be a whole number of milliseconds, not ${String(timeMs)}`)
    }
    const greatest = this.#greatest[partition]
    if (greatest === undefined || timeMs > greatest) this.#greatest[partition] = timeMs
  }

  /** The watermark, counting these partitions only; undefined while one of them has not given any record. */
  of(partitions: readonly number[]): number | undefined {
    let least: number | undefined
    for (const partition of partitions) {
      const greatest = this.#greatest[partition]
      if (greatest === undefined) return undefined
      if (least === undefined || greatest < least) least = greatest
    }
    return least === undefined ? undefined : least - this.#outOfOrdernessMs - 1
  }

  /** The greatest time of each partition, for a checkpoint. */
  seen(): (number | null)[] {
    return this.#greatest.map((greatest) => greatest ?? null)
  }
}
