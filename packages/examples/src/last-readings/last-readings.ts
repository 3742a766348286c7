import type { JsonValue } from 'moraine'
import { formatCount } from '../flights/format.ts'
import type { Example, ExampleSize } from '../runner/example.ts'
import { BATCH_RECORDS, lastReadingsJob, PARTITIONS, TTL_MS } from './last-readings-job.ts'
import { type DeviceEvent, deviceEvent, OUT_OF_ORDERNESS_MS } from './reading.ts'

/** Question, device, its last reading in degrees; null when there is none or it is too old. */
type AnswerRow = [question: number, device: string, celsius: number | null]

export const lastReadings: Example<DeviceEvent, string> = {
  name: 'last-readings',
  summary: 'The last reading of every device, forgotten after five minutes of event time without a new one, and asked for all along',
  defaultRecords: 400_000,
  mostRecords: 5_000_000,
  outputs: ['answers'],
  job: lastReadingsJob,
  answer: async (size) => ({ answers: plainAnswers(size) }),
  highlights({ answers = [] }) {
    const rows = answers as AnswerRow[]
    const known = rows.filter((row) => row[2] !== null).length
    return [`${formatCount(rows.length)} questions, ${formatCount(known)} of them about a device that had sent something lately`]
  },
}

/**
 * A map of the last reading and the watermark after which it counts no more. The watermark stands still for a round, a batch of
 * each partition, and so does what has expired.
 */
function plainAnswers({ records, seed }: ExampleSize): JsonValue[] {
  const rows: AnswerRow[] = []
  const known = new Map<string, { time: number; celsius: number; until: number }>()
  const greatest = Array.from({ length: PARTITIONS }, () => Number.NEGATIVE_INFINITY)
  let watermark: number | undefined
  for (let from = 0; from < records; from += BATCH_RECORDS * PARTITIONS) {
    const to = Math.min(from + BATCH_RECORDS * PARTITIONS, records)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let number = from + partition; number < to; number += PARTITIONS) {
        const event = deviceEvent(seed, number)
        greatest[partition] = Math.max(greatest[partition] as number, event.time)
        const last = known.get(event.device)
        const alive = last !== undefined && (watermark === undefined || watermark < last.until) ? last : undefined
        if (event.kind === 'question') rows.push([event.id, event.device, alive?.celsius ?? null])
        else if (alive === undefined || alive.time <= event.time) {
          known.set(event.device, { time: event.time, celsius: event.celsius, until: (watermark ?? Number.POSITIVE_INFINITY) + TTL_MS })
        }
      }
    }
    const first = watermark === undefined
    watermark = Math.min(...greatest) - OUT_OF_ORDERNESS_MS - 1
    // What was written before there was a watermark lives from the first one on.
    if (first) for (const last of known.values()) last.until = watermark + TTL_MS
  }
  return rows
}
