import { SeededRandom, SerialQueue } from '@moraine/base'
import { type FlightColumns, flightsFile, readFlights } from '../flights/source.ts'
import type { Source } from '../harness/source.ts'
import type { FlightReport } from './flight-report.ts'

const BLOCK_ROWS = 4_096
const JITTER_MINUTES = 20
const LATE_CHANCE = 0.003

/** How far reports are out of order, but for those that come late. */
export const OUT_OF_ORDERNESS_MS: number = JITTER_MINUTES * 60_000

export interface FlightTapeOptions {
  readonly records: number
  readonly seed: number
  readonly partitions: number
  /** A divisor of 4,096. */
  readonly batchRecords: number
}

/**
 * The real flights as a stream of reports that are not in order: each comes up to 20 minutes after its departure, and three in a
 * thousand come one to five hours later. The order is made within blocks of 4,096 flights, about six hours, so that any
 * offset can be gone to without reading what is before it. The partitions take turns within a block.
 */
export class FlightTape implements Source<FlightReport> {
  readonly partitions: number
  readonly #options: FlightTapeOptions
  readonly #turns = new SerialQueue()
  /** The partitions move together: the blocks that they are in are kept, the reader is where the next one begins. */
  readonly #blocks = new Map<number, readonly FlightReport[]>()
  #reader: AsyncGenerator<FlightColumns> | undefined
  #nextBlock = 0
  #columns: FlightColumns | undefined
  #row = 0

  constructor(options: FlightTapeOptions) {
    this.partitions = options.partitions
    this.#options = options
  }

  async *read(partition: number, offset: number): AsyncGenerator<readonly FlightReport[]> {
    const { records, partitions, batchRecords } = this.#options
    const end = Math.ceil((records - partition) / partitions)
    for (let from = offset; from < end; ) {
      const to = Math.min(from - (from % batchRecords) + batchRecords, end)
      const batch: FlightReport[] = []
      for (; from < to; from++) {
        const number = from * partitions + partition
        const block = Math.floor(number / BLOCK_ROWS)
        const reports = this.#blocks.get(block) ?? (await this.#turns.run(() => this.#load(block)))
        batch.push(reports[number % BLOCK_ROWS] as FlightReport)
      }
      yield batch
    }
  }

  async #load(block: number): Promise<readonly FlightReport[]> {
    const known = this.#blocks.get(block)
    if (known !== undefined) return known
    const { records } = this.#options
    if (this.#reader === undefined || this.#nextBlock !== block) {
      this.#reader = readFlights(flightsFile(), records, block * BLOCK_ROWS)
      this.#columns = undefined
    }
    const reports = await this.#readReports(Math.min(BLOCK_ROWS, records - block * BLOCK_ROWS), this.#reader)
    const ordered = shuffled(reports, new SeededRandom(Math.imul(this.#options.seed, 0x165667b1) ^ block))
    this.#nextBlock = block + 1
    this.#blocks.set(block, ordered)
    const [oldest] = this.#blocks.keys()
    if (this.#blocks.size > 2 && oldest !== undefined) this.#blocks.delete(oldest)
    return ordered
  }

  async #readReports(count: number, reader: AsyncGenerator<FlightColumns>): Promise<FlightReport[]> {
    const reports: FlightReport[] = []
    while (reports.length < count) {
      if (this.#columns === undefined || this.#row === this.#columns.count) {
        const { value, done } = await reader.next()
        if (done === true) throw new Error(`the file of flights ends ${count - reports.length} flights too early`)
        this.#columns = value
        this.#row = 0
      }
      const { origins, minutes, delays } = this.#columns
      const row = this.#row++
      reports.push({ airport: origins[row] as string, time: (minutes[row] as number) * 60_000, delayMinutes: delays[row] as number })
    }
    return reports
  }
}

/** In the order in which they are reported. */
function shuffled(reports: readonly FlightReport[], random: SeededRandom): FlightReport[] {
  const reported = reports.map((report) => {
    const minutes = random.below(JITTER_MINUTES + 1) + (random.chance(LATE_CHANCE) ? 60 + random.below(240) : 0)
    return { report, at: report.time + minutes * 60_000 }
  })
  return reported.sort((a, b) => a.at - b.at).map(({ report }) => report)
}
