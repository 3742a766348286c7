// Invariant: what the source says about a flight is what its entry says, for every flight, and each has its own key.
import { beforeAll, describe, expect, it } from 'vitest'
import { EntryDigest } from './digest.ts'
import { encodeFlights, visitEntries } from './flight-block.ts'
import { FlightNumbering, parseFlightKey } from './key.ts'
import { type FlightColumns, flightsFile, readFlights } from './source.ts'
import { readFlightValue } from './value.ts'

const rows = 20_000
let flights: FlightColumns

beforeAll(async () => {
  const runs: FlightColumns[] = []
  for await (const run of readFlights(flightsFile(), rows)) runs.push(run)
  expect(runs).toHaveLength(1)
  flights = runs[0] as FlightColumns
})

describe('encoded flights', () => {
  it('hold the rows of the source, one unique key each', () => {
    expect(flights.count).toBe(rows)
    const numbering = new FlightNumbering()
    const keys = new Set<string>()
    let row = 0
    for (let from = 0; from < rows; from += 7_000) {
      const block = encodeFlights(flights, from, Math.min(rows, from + 7_000), numbering)
      const digest = new EntryDigest()
      visitEntries(block, 0, block.count, (keyBytes, valueBytes) => {
        digest.add(keyBytes, valueBytes)
        const text = new TextDecoder().decode(keyBytes)
        keys.add(text)
        const key = parseFlightKey(text)
        const value = readFlightValue(valueBytes)
        expect([key.minutes, key.origin, key.destination, value.delayMinutes, value.distanceMiles]).toEqual([
          flights.minutes[row],
          flights.origins[row],
          flights.destinations[row],
          flights.delays[row],
          flights.distances[row],
        ])
        row++
      })
      expect(digest.parts()).toEqual(block.digest)
    }
    expect(row).toBe(rows)
    expect(keys.size).toBe(rows)
  })

  it('start with the first flight of 2001', () => {
    const block = encodeFlights(flights, 0, 1, new FlightNumbering())
    visitEntries(block, 0, 1, (key, value) => {
      expect(new TextDecoder().decode(key)).toBe('flight/LAS/20010101T0001/PHL/0')
      expect(readFlightValue(value)).toEqual({ delayMinutes: 33, distanceMiles: 2176 })
    })
  })
})
