import { MoraineError } from '@moraine/base'
import type { Source } from './source.ts'

/** A source whose records are a function of their number. */
export interface GeneratedSourceOptions<T> {
  /** How many there are, over all partitions. */
  readonly records: number
  readonly partitions: number
  readonly batchRecords: number
  /** Record `number` of the whole: the one at offset `o` of partition `p` of `n` is number `o * n + p`. */
  generate(number: number): T
}

/** Reads from any offset at once, and gives batches that end at multiples of `batchRecords`. */
export class GeneratedSource<T> implements Source<T> {
  readonly partitions: number
  readonly #options: GeneratedSourceOptions<T>

  constructor(options: GeneratedSourceOptions<T>) {
    const { records, partitions, batchRecords } = options
    const whole = Number.isSafeInteger(records) && Number.isSafeInteger(partitions) && Number.isSafeInteger(batchRecords)
    if (!whole || records < 0 || partitions < 1 || batchRecords < 1) {
      throw new MoraineError('INVALID', 'a generated source takes whole numbers: records from 0, partitions and batchRecords from 1')
    }
    this.partitions = partitions
    this.#options = options
  }

  *read(partition: number, offset: number): Generator<readonly T[]> {
    const { records, partitions, batchRecords, generate } = this.#options
    const end = Math.ceil((records - partition) / partitions)
    for (let from = offset; from < end; ) {
      const to = Math.min(from - (from % batchRecords) + batchRecords, end)
      const batch: T[] = []
      for (; from < to; from++) batch.push(generate(from * partitions + partition))
      yield batch
    }
  }
}
