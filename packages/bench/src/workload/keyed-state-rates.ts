import { float64, int64, type KeyedStateBackend, listState, mapState, openKeyedState, utf8, valueState } from '@moraine/keyed-state'
import { measureRate } from './measure-rate.ts'
import type { Figures, FigureSpec, MeasureContext, Workload } from './workload.ts'

const HOT_KEYS = 10_000
const COLD_FACTOR = 10
const TIMERS = 20_000

const FIGURES: readonly FigureSpec[] = [
  { name: 'keyed state: update of a value in memory', unit: 'per-second', better: 'more', target: '>= 500,000/s' },
  { name: 'keyed state: the same without promises', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: update with state 10x the cache', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: update by mini-batches, 10x the cache', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: list append', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: map update', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: handlers of many keys, one update each', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: timers set', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: timers fired', unit: 'per-second', better: 'more', target: '' },
  { name: 'keyed state: longest pause of a checkpoint', unit: 'ms', better: 'less', target: '< 10' },
]

const [HOT, RESIDENT, COLD, BATCHED, LIST, MAP, HANDLERS, SET, FIRED, PAUSE] = FIGURES.map(({ name }) => name) as string[]

const plusOne = (n: bigint | undefined): bigint => (n ?? 0n) + 1n

/** What a stream operator does with its state, one call awaited after another unless the name says otherwise. */
export const keyedStateRates: Workload = {
  name: 'keyed-state',
  figures: FIGURES,
  needs: 'own',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const location = context.freshSettings().location
    const keys = Array.from({ length: HOT_KEYS * COLD_FACTOR }, (_, i) => `user-${String(i).padStart(8, '0')}`)
    const key = (i: number, among: number): string => keys[(i * 7919) % among] as string
    const figures: Record<string, number> = {}
    const note = (name: string | undefined, value: number): void => {
      figures[name as string] = value
    }
    const job = await openKeyedState(location, { keyCodec: utf8, cacheEntries: HOT_KEYS * 2 })
    try {
      const count = job.state(valueState('count', { codec: int64 }))
      await count.updateMany(keys.slice(0, HOT_KEYS), plusOne)
      note(HOT, await measureRate(context, (i) => count.of(key(i, HOT_KEYS)).update(plusOne)))
      note(
        RESIDENT,
        await measureRate(context, async (i) => {
          // Many in one step: a step is awaited, which would be all that is measured.
          for (let n = 0; n < 100; n++) count.of(key(i * 100 + n, HOT_KEYS)).updateResident(plusOne)
        }) * 100,
      )
      let longestMs = 0
      for (let i = 0; i < 5; i++) {
        await count.updateMany(keys.slice(0, HOT_KEYS), plusOne)
        longestMs = Math.max(longestMs, (await job.checkpoint()).pauseMs)
      }
      note(PAUSE, longestMs)
      const list = job.state(listState('list', { codec: float64 }))
      note(LIST, await measureRate(context, (i) => list.of(key(i, HOT_KEYS)).add(i)))
      const map = job.state(mapState('map', { keyCodec: utf8, codec: float64 }))
      note(MAP, await measureRate(context, (i) => map.of(key(i, 1_000)).set(`field-${i % 10}`, i)))
      note(HANDLERS, (await measureRate(context, (i) => handleMany(job, keys, i, (k) => count.of(k).update(plusOne)))) * HANDLED)
      Object.assign(figures, await measureTimers(context, job, keys))
    } finally {
      await job.close()
    }
    const cold = await openKeyedState(`${location}-cold`, { keyCodec: utf8, cacheEntries: HOT_KEYS })
    try {
      const count = cold.state(valueState('count', { codec: int64 }))
      for (let i = 0; i < keys.length; i += 1_000) await count.updateMany(keys.slice(i, i + 1_000), plusOne)
      await cold.checkpoint()
      note(COLD, await measureRate(context, (i) => count.of(key(i, keys.length)).update(plusOne)))
      note(BATCHED, (await measureRate(context, (i) => count.updateMany(slice(keys, i), plusOne))) * BATCH)
    } finally {
      await cold.close()
    }
    return figures
  },
}

const HANDLED = 500
const BATCH = 1_000

async function handleMany(job: KeyedStateBackend<string>, keys: readonly string[], i: number, handler: (key: string) => Promise<unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: HANDLED }, (_, n) => {
      const key = keys[(i * HANDLED + n) % HOT_KEYS] as string
      return job.process(key, () => handler(key))
    }),
  )
}

function slice(keys: readonly string[], i: number): string[] {
  const start = (i * BATCH) % keys.length
  return keys.slice(start, start + BATCH)
}

async function measureTimers(context: MeasureContext, job: KeyedStateBackend<string>, keys: readonly string[]): Promise<Record<string, number>> {
  let startMs = context.nowMs()
  for (let i = 0; i < TIMERS; i++) await job.timers.register({ key: keys[i % HOT_KEYS] as string, time: (i * 7919) % TIMERS, domain: 'event' })
  const set = (TIMERS / (context.nowMs() - startMs)) * 1_000
  let fired = 0
  job.timers.onTimer(() => {
    fired++
  })
  startMs = context.nowMs()
  await job.advanceWatermark(TIMERS)
  return { [SET as string]: set, [FIRED as string]: (fired / (context.nowMs() - startMs)) * 1_000 }
}
