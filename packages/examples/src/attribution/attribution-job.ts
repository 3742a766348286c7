import { json, utf8, valueState } from '@moraine/keyed-state'
import { GeneratedSource } from '../harness/generated-source.ts'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import { type AdEvent, adEvent, OUT_OF_ORDERNESS_MS } from './event.ts'

/** A purchase counts for the impressions of its user from so long before it to the moment itself. */
export const WITHIN_MS: number = 10 * 60_000

/** A row that may still find a partner. */
interface Waiting {
  readonly id: number
  readonly time: number
}

/** Of a user, in a namespace for each stream. */
const waitingState = valueState('waiting', { codec: json<Waiting[]>() })

/**
 * An interval join. Each row is kept in the buffer of its stream and looks for partners in that of the other, so a pair is found
 * by the one of the two that comes last. A timer drops a row when the watermark has passed the last time that a partner could
 * have; the buffers are as large as the interval, not as the streams.
 */
export function attributionJob({ records, seed }: ExampleSize): Job<AdEvent, string> {
  return {
    source: new GeneratedSource({ records, partitions: 2, batchRecords: 256, generate: (number) => adEvent(seed, number) }),
    keyCodec: utf8,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    keyOf: ({ user }) => user,
    timeOf: ({ time }) => time,
    open({ state, emit }) {
      const waiting = state.state(waitingState)
      return {
        async process({ kind, id, user, time }) {
          if (state.watermark !== undefined && time <= state.watermark) return emit('late', [kind, id])
          await waiting.of(user, kind).update((rows = []) => [...rows, { id, time }])
          if (kind === 'impression') {
            await state.timers.register({ key: user, namespace: [kind, id], time: time + WITHIN_MS, domain: 'event' })
            for (const purchase of (await waiting.of(user, 'purchase').get()) ?? []) {
              if (time <= purchase.time && purchase.time <= time + WITHIN_MS) emit('pairs', [id, purchase.id, user, purchase.time - time])
            }
          } else {
            await state.timers.register({ key: user, namespace: [kind, id], time, domain: 'event' })
            for (const impression of (await waiting.of(user, 'impression').get()) ?? []) {
              if (impression.time <= time && time <= impression.time + WITHIN_MS) emit('pairs', [impression.id, id, user, time - impression.time])
            }
          }
        },

        async onTimer({ key: user, namespace }) {
          const [kind, id] = namespace as readonly [AdEvent['kind'], number]
          await waiting.of(user, kind).update((rows = []) => {
            const left = rows.filter((row) => row.id !== id)
            return left.length > 0 ? left : undefined
          })
        },
      }
    },
  }
}
