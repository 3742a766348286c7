import type { JsonValue } from 'moraine'
import { formatCount } from '../flights/format.ts'
import type { Example, ExampleSize } from '../runner/example.ts'
import { attributionJob, WITHIN_MS } from './attribution-job.ts'
import { type AdEvent, adEvent } from './event.ts'

/** Impression, purchase, user, milliseconds between them. */
type PairRow = [impression: number, purchase: number, user: string, delayMs: number]

export const attribution: Example<AdEvent, string> = {
  name: 'attribution',
  summary: 'Event-time join of two streams: each purchase with the impressions that its user saw in the ten minutes before',
  defaultRecords: 100_000,
  mostRecords: 5_000_000,
  outputs: ['pairs', 'late'],
  job: attributionJob,
  answer: async (size) => ({ pairs: plainPairs(size), late: [] }),
  highlights({ pairs = [] }) {
    const rows = pairs as PairRow[]
    const delay = rows.reduce((sum, row) => sum + row[3], 0) / Math.max(1, rows.length)
    return [
      `${formatCount(rows.length)} pairs: ${formatCount(new Set(rows.map((row) => row[1])).size)} purchases, each with the impressions before it`,
      `${(delay / 60_000).toFixed(2)} minutes between the two on average`,
    ]
  },
}

/** Every pair of rows of a user is looked at. */
function plainPairs({ records, seed }: ExampleSize): JsonValue[] {
  const users = new Map<string, AdEvent[]>()
  for (let number = 0; number < records; number++) {
    const event = adEvent(seed, number)
    const events = users.get(event.user)
    if (events === undefined) users.set(event.user, [event])
    else events.push(event)
  }
  const rows: PairRow[] = []
  for (const [user, events] of users) {
    const impressions = events.filter(({ kind }) => kind === 'impression')
    for (const { kind, id, time } of events) {
      if (kind !== 'purchase') continue
      for (const seen of impressions) {
        if (seen.time <= time && time <= seen.time + WITHIN_MS) rows.push([seen.id, id, user, time - seen.time])
      }
    }
  }
  return rows
}
