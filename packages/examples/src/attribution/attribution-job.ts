import { type Codec, float64, mapState, type Namespace, utf8 } from '@moraine/keyed-state'
import { GeneratedSource } from '../harness/generated-source.ts'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import { type AdEvent, adEvent, OUT_OF_ORDERNESS_MS } from './event.ts'

/** A purchase counts for the impressions of its user from so long before it to the moment itself. */
export const WITHIN_MS: number = 10 * 60_000

const ids: Codec<number> = float64
/** Id to time of the rows of a stream that may still find a partner. */
const impressionsState = mapState('impressions', { keyCodec: ids, codec: float64 })
const purchasesState = mapState('purchases', { keyCodec: ids, codec: float64 })

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
      const impressions = state.state(impressionsState)
      const purchases = state.state(purchasesState)

      const keep = (user: string, kind: AdEvent['kind'], id: number, until: number): Promise<void> =>
        state.timers.register({ key: user, namespace: [kind, id], time: until, domain: 'event' })

      return {
        async process({ kind, id, user, time }) {
          if (state.watermark !== undefined && time <= state.watermark) return emit('late', [kind, id])
          if (kind === 'impression') {
            await impressions.of(user).set(id, time)
            await keep(user, kind, id, time + WITHIN_MS)
            for await (const [purchase, at] of purchases.of(user).entries()) {
              if (time <= at && at <= time + WITHIN_MS) emit('pairs', [id, purchase, user, at - time])
            }
          } else {
            await purchases.of(user).set(id, time)
            await keep(user, kind, id, time)
            for await (const [impression, at] of impressions.of(user).entries()) {
              if (at <= time && time <= at + WITHIN_MS) emit('pairs', [impression, id, user, time - at])
            }
          }
        },

        async onTimer({ key: user, namespace }) {
          const [kind, id] = namespace as readonly Namespace[]
          await (kind === 'impression' ? impressions : purchases).of(user).delete(id as number)
        },
      }
    },
  }
}
