import { aggregatingState, json, utf8 } from '@moraine/keyed-state'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import type { FlightReport } from './flight-report.ts'
import { FlightTape, OUT_OF_ORDERNESS_MS } from './flight-tape.ts'

export const HOUR_MS = 3_600_000
export const PARTITIONS = 2
export const BATCH_RECORDS = 256

/** What is known of an hour at an airport. */
interface Departures {
  readonly flights: number
  readonly delayMinutes: number
  readonly mostDelayMinutes: number
}

const hoursState = aggregatingState<FlightReport, Departures, Departures>('hours', {
  codec: json<Departures>(),
  create: () => ({ flights: 0, delayMinutes: 0, mostDelayMinutes: Number.MIN_SAFE_INTEGER }),
  add: ({ flights, delayMinutes, mostDelayMinutes }, report) => ({
    flights: flights + 1,
    delayMinutes: delayMinutes + report.delayMinutes,
    mostDelayMinutes: Math.max(mostDelayMinutes, report.delayMinutes),
  }),
  result: (departures) => departures,
})

/**
 * Departures and delays by airport and hour: a window per hour, as a namespace of the airport. A window's row is written once, when
 * the watermark has passed its end; what comes for it after that goes to an output of its own.
 */
export function airportHoursJob({ records, seed }: ExampleSize): Job<FlightReport, string> {
  return {
    source: new FlightTape({ records, seed, partitions: PARTITIONS, batchRecords: BATCH_RECORDS }),
    keyCodec: utf8,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    keyOf: ({ airport }) => airport,
    timeOf: ({ time }) => time,
    open({ state, emit }) {
      const hours = state.state(hoursState)
      return {
        async process(report) {
          const { airport, time, delayMinutes } = report
          const hour = time - (time % HOUR_MS)
          const last = hour + HOUR_MS - 1
          if (state.watermark !== undefined && last <= state.watermark) return emit('late', [airport, time, delayMinutes])
          await hours.of(airport, hour).add(report)
          await state.timers.register({ key: airport, namespace: hour, time: last, domain: 'event' })
        },

        async onTimer({ key: airport, namespace }) {
          const hour = namespace as number
          const departures = await hours.of(airport, hour).get()
          if (departures === undefined) throw new Error(`no departures from ${airport} at ${hour}`)
          emit('hours', [airport, hour, departures.flights, departures.delayMinutes, departures.mostDelayMinutes])
          await hours.of(airport, hour).clear()
        },
      }
    },
  }
}
