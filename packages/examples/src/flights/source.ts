import { fileURLToPath } from 'node:url'
import { asyncBufferFromFile, type ColumnData, parquetMetadataAsync, parquetRead } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

/** Rows in the source file. */
export const flightsInSource = 3_000_000

/** A run of flights in source order (by departure), one array per column, all of length `count`. */
export interface FlightColumns {
  readonly count: number
  /** Scheduled departure, minutes since the Unix epoch read as local time (the source has no time zones). */
  readonly minutes: Int32Array
  /** Arrival delay in minutes; negative is early. */
  readonly delays: Int16Array
  /** Miles. */
  readonly distances: Uint16Array
  readonly origins: readonly string[]
  readonly destinations: readonly string[]
}

/** The file of the `vega-datasets` package: real flights in the United States, from 1 January 2001 on. */
export function flightsFile(): string {
  // The package exports its code only; its data lies beside that.
  return fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))
}

/**
 * Reads the first `rowLimit` flights, from row `rowFrom` on, one Parquet row group (about 270,000 rows) a step.
 *
 * A row group's column is one compressed chunk, so nothing smaller can be read without decoding it again. Columns are
 * decoded one after the other and narrowed to typed arrays at once: the decoder's boxed numbers of one column are
 * garbage before those of the next exist, which halves the peak memory.
 */
export async function* readFlights(path: string, rowLimit: number, rowFrom = 0): AsyncGenerator<FlightColumns> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  let groupEnd = 0
  for (const group of metadata.row_groups) {
    const rowStart = Math.max(groupEnd, rowFrom)
    groupEnd += Number(group.num_rows)
    const rowEnd = Math.min(groupEnd, rowLimit)
    const count = rowEnd - rowStart
    if (count <= 0) continue

    const readColumn = async (name: string, assign: (row: number, value: unknown) => void): Promise<void> => {
      let filled = 0
      const onChunk = (chunk: ColumnData): void => {
        // The decoder may hand out rows around the range that was asked for.
        const from = Math.max(chunk.rowStart, rowStart)
        const to = Math.min(chunk.rowEnd, rowEnd)
        for (let row = from; row < to; row++) assign(row - rowStart, chunk.columnData[row - chunk.rowStart])
        filled += Math.max(0, to - from)
      }
      await parquetRead({ file, metadata, compressors, columns: [name], rowStart, rowEnd, onChunk, parsers })
      if (filled !== count) throw new Error(`column '${name}' of ${path} gave ${filled} of ${count} rows`)
    }

    const minutes = new Int32Array(count)
    const delays = new Int16Array(count)
    const distances = new Uint16Array(count)
    const origins: string[] = []
    const destinations: string[] = []
    await readColumn('date', (row, value) => (minutes[row] = value as number))
    await readColumn('delay', (row, value) => (delays[row] = Number(value)))
    await readColumn('distance', (row, value) => (distances[row] = Number(value)))
    await readColumn('origin', (row, value) => (origins[row] = value as string))
    await readColumn('destination', (row, value) => (destinations[row] = value as string))
    yield { count, minutes, delays, distances, origins, destinations }
  }
}

/** Departures come as whole minutes; a plain number per row is much cheaper than a Date. */
const parsers = {
  timestampFromMicroseconds: (micros: bigint): number => Number(micros) / 60_000_000,
}
