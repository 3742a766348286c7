import { json, utf8, valueState } from '@moraine/keyed-state'
import { GeneratedSource } from '../harness/generated-source.ts'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import { type DeviceEvent, deviceEvent, OUT_OF_ORDERNESS_MS } from './reading.ts'

/** A reading is forgotten when the watermark has moved on by so much since it was written. */
export const TTL_MS: number = 5 * 60_000

export const PARTITIONS = 2
export const BATCH_RECORDS = 200

interface LastReading {
  readonly time: number
  readonly celsius: number
}

const last = valueState('last', { codec: json<LastReading>(), ttl: { ms: TTL_MS, time: 'event' } })

/**
 * The last value of every device, for as long as it is worth something. Nothing here deletes: the state has a time to live, in
 * event time, so that a replay of last week's events forgets what a live run would have.
 */
export function lastReadingsJob({ records, seed }: ExampleSize): Job<DeviceEvent, string> {
  return {
    source: new GeneratedSource({ records, partitions: PARTITIONS, batchRecords: BATCH_RECORDS, generate: (number) => deviceEvent(seed, number) }),
    keyCodec: utf8,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    keyOf: ({ device }) => device,
    timeOf: ({ time }) => time,
    open({ state, emit }) {
      const readings = state.state(last)
      return {
        process(event) {
          const reading = readings.of(event.device)
          if (event.kind === 'reading') {
            const { time, celsius } = event
            // A reading that was overtaken by a newer one changes nothing, not even how long that one lives.
            return reading.get().then((known) => (known !== undefined && known.time > time ? undefined : reading.set({ time, celsius })))
          }
          return reading.get().then((known) => emit('answers', [event.id, event.device, known?.celsius ?? null]))
        },
      }
    },
  }
}
