import type { JsonValue } from 'moraine'
import { formatCount } from '../flights/format.ts'
import { formatDeparture } from '../flights/key.ts'
import { flightsInSource } from '../flights/source.ts'
import type { Example, ExampleSize } from '../runner/example.ts'
import { airportHoursJob, BATCH_RECORDS, HOUR_MS, PARTITIONS } from './airport-hours-job.ts'
import type { FlightReport } from './flight-report.ts'
import { FlightTape, OUT_OF_ORDERNESS_MS } from './flight-tape.ts'

/** Airport, hour (milliseconds), departures, sum and most of their delays in minutes. */
type HourRow = [airport: string, hour: number, flights: number, delayMinutes: number, mostDelayMinutes: number]

export const airportHours: Example<FlightReport, string> = {
  name: 'airport-hours',
  summary: 'Departures and delays by airport and hour, from real flights that are reported out of order, and some of them too late',
  defaultRecords: flightsInSource,
  mostRecords: flightsInSource,
  outputs: ['hours', 'late'],
  job: airportHoursJob,
  answer: plainHours,
  highlights({ hours = [], late = [] }) {
    const rows = hours as HourRow[]
    const flights = rows.reduce((sum, row) => sum + row[2], 0)
    const busiest = rows.reduce((most, row) => (row[2] > most[2] ? row : most), ['nowhere', 0, 0, 0, 0] as HourRow)
    return [
      `${formatCount(rows.length)} hours at ${new Set(rows.map(([airport]) => airport)).size} airports hold ${formatCount(flights)} departures, ${formatCount(late.length)} reports came too late`,
      `the busiest: ${busiest[0]} at ${formatDeparture(busiest[1] / 60_000)} with ${busiest[2]} departures, ${(busiest[3] / Math.max(1, busiest[2])).toFixed(1)} minutes late on average`,
    ]
  },
}

/**
 * Hours in a map. Whether a report is late depends on the watermark, and that on what has been read: it stands still for a
 * round, a batch of each partition, and is as far behind the slower one as reports may be out of order.
 */
async function plainHours(size: ExampleSize): Promise<Record<'hours' | 'late', JsonValue[]>> {
  const tape = new FlightTape({ ...size, partitions: PARTITIONS, batchRecords: BATCH_RECORDS })
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ batches: tape.read(partition, 0), greatest: 0 }))
  const hours = new Map<string, HourRow>()
  const late: JsonValue[] = []
  let watermark = Number.NEGATIVE_INFINITY
  for (let isOver = false; !isOver; ) {
    isOver = true
    for (const partition of partitions) {
      const { value = [] } = (await partition.batches.next()) as { value?: readonly FlightReport[] }
      if (value.length > 0) isOver = false
      for (const { airport, time, delayMinutes } of value) {
        partition.greatest = Math.max(partition.greatest, time)
        const hour = time - (time % HOUR_MS)
        if (hour + HOUR_MS <= watermark + 1) {
          late.push([airport, time, delayMinutes])
          continue
        }
        const row = hours.get(`${airport} ${hour}`)
        if (row === undefined) hours.set(`${airport} ${hour}`, [airport, hour, 1, delayMinutes, delayMinutes])
        else {
          row[2]++
          row[3] += delayMinutes
          row[4] = Math.max(row[4], delayMinutes)
        }
      }
    }
    watermark = Math.min(...partitions.map(({ greatest }) => greatest)) - OUT_OF_ORDERNESS_MS - 1
  }
  return { hours: [...hours.values()], late }
}
