import type { Db } from 'moraine'
import { flightPrefix, originPrefix, parseFlightKey } from './key.ts'
import { readFlightValue } from './value.ts'

export interface AirportSummary {
  readonly airport: string
  readonly departures: number
  readonly meanDelayMinutes: number
}

/**
 * All airports in the database, found by leaping: read one key, jump behind its airport, read the next. Costs one
 * seek per airport, however many flights there are.
 */
export async function listAirports(db: Db): Promise<string[]> {
  const airports: string[] = []
  let from = flightPrefix
  for (;;) {
    let found: string | undefined
    for await (const [key] of db.scan({ gte: from, lt: afterPrefix(flightPrefix), limit: 1 })) {
      found = parseFlightKey(decoder.decode(key)).origin
    }
    if (found === undefined) return airports
    airports.push(found)
    from = afterPrefix(originPrefix(found))
  }
}

/** Departures and mean delay of an airport: one prefix scan. */
export async function summarizeAirport(db: Db, airport: string): Promise<AirportSummary> {
  let departures = 0
  let delayMinutes = 0
  for await (const entries of db.scanBatches({ prefix: originPrefix(airport) })) {
    for (const [, value] of entries) delayMinutes += readFlightValue(value).delayMinutes
    departures += entries.length
  }
  return { airport, departures, meanDelayMinutes: delayMinutes / departures }
}

/** The airports with most departures, busiest first. */
export async function busiestAirports(db: Db, airports: readonly string[], count: number): Promise<AirportSummary[]> {
  const summaries: AirportSummary[] = []
  for (const airport of airports) summaries.push(await summarizeAirport(db, airport))
  return summaries.toSorted((a, b) => b.departures - a.departures).slice(0, count)
}

/** The bound behind every key with this prefix, which ends in '/': '0' is the character after '/'. */
function afterPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}

const decoder = new TextDecoder()
