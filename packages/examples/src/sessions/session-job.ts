import { aggregatingState, json, utf8, valueState } from '@moraine/keyed-state'
import { GeneratedSource } from '../harness/generated-source.ts'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import { type Click, click, OUT_OF_ORDERNESS_MS } from './click.ts'

/** A session ends when a user does nothing for so long. */
export const GAP_MS: number = 30 * 60_000

/** A session that may still grow, from its first click to its last one plus the gap. */
interface OpenSession {
  readonly start: number
  readonly end: number
  /** The namespace of its totals. It stays the same while the session grows. */
  readonly window: number
}

interface Totals {
  clicks: number
  cents: number
}

const openSessions = valueState('open-sessions', { codec: json<OpenSession[]>() })
const totalsState = aggregatingState<Click, Totals, Totals>('totals', {
  codec: json<Totals>(),
  create: () => ({ clicks: 0, cents: 0 }),
  add: (totals, { cents }) => ({ clicks: totals.clicks + 1, cents: totals.cents + cents }),
  result: (totals) => totals,
  merge: (a, b) => ({ clicks: a.clicks + b.clicks, cents: a.cents + b.cents }),
})

/**
 * Session windows. Every click opens a window of its own, which is united at once with those of the same user that it touches:
 * a click between two sessions makes one of them. The totals of a window are in a namespace; uniting windows merges namespaces.
 */
export function sessionJob({ records, seed }: ExampleSize): Job<Click, string> {
  return {
    source: new GeneratedSource({ records, partitions: 2, batchRecords: 256, generate: (number) => click(seed, number) }),
    keyCodec: utf8,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    keyOf: ({ user }) => user,
    timeOf: ({ time }) => time,
    open({ state, emit }) {
      const sessions = state.state(openSessions)
      const totals = state.state(totalsState)

      return {
        async process(record) {
          const { user, time } = record
          if (state.watermark !== undefined && time + GAP_MS - 1 <= state.watermark) return emit('late', [user, time])
          const known = (await sessions.of(user).get()) ?? []
          const touched = known.filter(({ start, end }) => start < time + GAP_MS && time < end)
          const [first, ...others] = touched
          const grown: OpenSession = {
            start: Math.min(time, ...touched.map(({ start }) => start)),
            end: Math.max(time + GAP_MS, ...touched.map(({ end }) => end)),
            window: first?.window ?? time,
          }
          await totals.of(user, grown.window).add(record)
          if (others.length > 0) await totals.mergeNamespaces(user, grown.window, others.map(({ window }) => window))
          for (const { end, window } of touched) {
            if (end !== grown.end || window !== grown.window) await state.timers.delete({ key: user, namespace: window, time: end - 1, domain: 'event' })
          }
          await state.timers.register({ key: user, namespace: grown.window, time: grown.end - 1, domain: 'event' })
          await sessions.of(user).set([...known.filter((session) => !touched.includes(session)), grown])
        },

        async onTimer({ key: user, namespace: window }) {
          const known = (await sessions.of(user).get()) ?? []
          const ended = known.find((session) => session.window === window)
          const sums = await totals.of(user, window).get()
          if (ended === undefined || sums === undefined) throw new Error(`no session ${String(window)} of ${user}`)
          emit('sessions', [user, ended.start, ended.end - GAP_MS, sums.clicks, sums.cents])
          await totals.of(user, window).clear()
          const left = known.filter((session) => session !== ended)
          if (left.length > 0) await sessions.of(user).set(left)
          else await sessions.of(user).clear()
        },
      }
    },
  }
}
