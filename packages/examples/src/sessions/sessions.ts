import type { JsonValue } from 'moraine'
import type { Example, ExampleSize } from '../runner/example.ts'
import { formatCount } from '../flights/format.ts'
import { type Click, click } from './click.ts'
import { GAP_MS, sessionJob } from './session-job.ts'

/** User, first click, last click, clicks, cents. */
type SessionRow = [user: string, start: number, end: number, clicks: number, cents: number]

export const sessions: Example<Click, string> = {
  name: 'sessions',
  summary: 'Session windows: the clicks of a user without a pause of 30 minutes, from a stream that is out of order',
  defaultRecords: 300_000,
  mostRecords: 5_000_000,
  outputs: ['sessions', 'late'],
  job: sessionJob,
  answer: async (size) => ({ sessions: plainSessions(size), late: [] }),
  highlights({ sessions: rows = [] }) {
    const all = rows as SessionRow[]
    const clicks = all.reduce((sum, row) => sum + row[3], 0)
    const longest = all.reduce((most, row) => Math.max(most, row[2] - row[1]), 0)
    return [
      `${formatCount(all.length)} sessions of ${formatCount(new Set(all.map(([user]) => user)).size)} users hold ${formatCount(clicks)} clicks`,
      `the longest lasted ${formatCount(longest / 60_000)} minutes`,
    ]
  },
}

/** Sorted by user and time, a session ends where the next click is too far away. No click is late within the bound. */
function plainSessions({ records, seed }: ExampleSize): JsonValue[] {
  const clicks = Array.from({ length: records }, (_, number) => click(seed, number))
  clicks.sort((a, b) => (a.user < b.user ? -1 : a.user > b.user ? 1 : a.time - b.time))
  const rows: SessionRow[] = []
  let last: SessionRow | undefined
  for (const { user, time, cents } of clicks) {
    if (last === undefined || last[0] !== user || time - last[2] >= GAP_MS) rows.push((last = [user, time, time, 0, 0]))
    last[2] = time
    last[3]++
    last[4] += cents
  }
  return rows
}
