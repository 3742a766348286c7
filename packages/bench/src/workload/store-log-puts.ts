import { parseLocation } from '@moraine/object-store'
import { type Db, open } from 'moraine'
import type { Figures, MeasureContext, Workload } from './workload.ts'

const names = {
  bare: 'one conditional PUT, p50',
  alone: 'durable put, log in the store, alone, p50',
  aloneFactor: 'durable put, log in the store, alone, against one PUT',
  crowd: 'durable put, log in the store, 64 in flight, p50',
  crowdFactor: 'durable put, log in the store, 64 in flight, against one PUT',
  rate: 'durable puts, log in the store, 64 in flight',
  share: 'puts that share a PUT, 64 in flight',
} as const

const IN_FLIGHT = 64
/** What one 20 + 100 byte put comes to as a segment of its own. */
const SEGMENT_BYTES = 345

/**
 * Puts that are acknowledged when the log in the store holds them, beside bare PUTs of the same size to the same server:
 * one at a time, in turns with the bare ones, so that a slow moment falls on both; then 64 at once.
 */
export const storeLogPuts: Workload = {
  name: 'store-log-puts',
  figures: [
    { name: names.bare, unit: 'ms', better: 'less', target: '' },
    { name: names.alone, unit: 'ms', better: 'less', target: 'one PUT + 10 %' },
    { name: names.aloneFactor, unit: 'factor', better: 'less', target: '<= 1.1' },
    { name: names.crowd, unit: 'ms', better: 'less', target: '' },
    { name: names.crowdFactor, unit: 'factor', better: 'less', target: '<= 1.6' },
    { name: names.rate, unit: 'per-second', better: 'more', target: '' },
    { name: names.share, unit: 'count', better: 'more', target: '' },
  ],
  needs: 'own',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const { location } = context.freshSettings()
    const { store, prefix } = parseLocation(location)
    const db = await open(location, { wal: 'object-store' })
    try {
      const bare = (i: number): Promise<unknown> =>
        store.put(`${prefix === '' ? '' : `${prefix}/`}bare/${i}`, new Uint8Array(SEGMENT_BYTES), { ifAbsent: true })
      const { bareMs, aloneMs } = await inTurns(context, bare, db)
      const crowd = await atOnce(context, db)
      return {
        [names.bare]: bareMs,
        [names.alone]: aloneMs,
        [names.aloneFactor]: aloneMs / bareMs,
        [names.crowd]: crowd.p50Ms,
        [names.crowdFactor]: crowd.p50Ms / bareMs,
        [names.rate]: crowd.perSecond,
        [names.share]: crowd.shared,
      }
    } finally {
      await db.close()
      await store.close()
    }
  },
}

async function inTurns(context: MeasureContext, bare: (i: number) => Promise<unknown>, db: Db): Promise<{ bareMs: number; aloneMs: number }> {
  const { nowMs, dataset } = context
  const bareTimes: number[] = []
  const ownTimes: number[] = []
  const endMs = nowMs() + 2 * context.budgetMs
  for (let i = 0; nowMs() < endMs || i < 10; i++) {
    const startMs = nowMs()
    await bare(i)
    const betweenMs = nowMs()
    await db.put(dataset.key(i), dataset.value(i))
    bareTimes.push(betweenMs - startMs)
    ownTimes.push(nowMs() - betweenMs)
  }
  return { bareMs: p50(bareTimes), aloneMs: p50(ownTimes) }
}

async function atOnce(context: MeasureContext, db: Db): Promise<{ p50Ms: number; perSecond: number; shared: number }> {
  const { nowMs, dataset } = context
  const times: number[] = []
  const before = segmentsOf(db)
  const startMs = nowMs()
  let next = 0
  const client = async (): Promise<void> => {
    while (nowMs() - startMs < context.budgetMs) {
      const i = next++
      const putMs = nowMs()
      await db.put(dataset.key(i), dataset.value(i))
      times.push(nowMs() - putMs)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, client))
  const seconds = (nowMs() - startMs) / 1000
  return { p50Ms: p50(times), perSecond: times.length / seconds, shared: times.length / (segmentsOf(db) - before) }
}

function segmentsOf(db: Db): number {
  const { wal } = db.stats()
  return wal.kind === 'object-store' ? wal.appendedSegments : 0
}

function p50(times: number[]): number {
  times.sort((a, b) => a - b)
  return times[times.length >> 1] as number
}
