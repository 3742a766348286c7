// Invariant: a flight's key says everything about it, sorts by airport and time, and no two flights share one.
import { describe, expect, it } from 'vitest'
import { FlightNumbering, formatDeparture, formatFlightKey, parseDeparture, parseFlightKey } from './key.ts'

const minutesOf = (iso: string): number => Date.parse(iso) / 60_000

describe('flight key', () => {
  it('has the documented form', () => {
    const key = { origin: 'ATL', minutes: minutesOf('2001-01-31T23:59Z'), destination: 'SAV', n: 0 }
    expect(formatFlightKey(key)).toBe('flight/ATL/20010131T2359/SAV/0')
    expect(parseFlightKey('flight/ATL/20010131T2359/SAV/0')).toEqual(key)
  })

  it('sorts as text in order of departure, across days, months and years', () => {
    const times = ['2000-12-31T23:59Z', '2001-01-01T00:00Z', '2001-01-01T09:59Z', '2001-01-01T10:00Z', '2001-02-01T00:01Z']
    const texts = times.map((time) => formatDeparture(minutesOf(time)))
    expect(texts.toSorted()).toEqual(texts)
    expect(texts.map(parseDeparture)).toEqual(times.map(minutesOf))
  })

  it('refuses keys of another kind', () => {
    expect(() => parseFlightKey('train/ATL/20010131T2359/SAV/0')).toThrow('not a flight key')
    expect(() => parseFlightKey('flight/ATL/20010131T2359/SAV')).toThrow('not a flight key')
    expect(() => parseFlightKey('flight/ATL/2001-01-31/SAV/0')).toThrow('not a departure time')
  })
})

describe('flight numbering', () => {
  it('tells equal flights of one minute apart and starts over in the next', () => {
    const numbering = new FlightNumbering()
    expect(numbering.next(1, 'ATL', 'SAV')).toBe(0)
    expect(numbering.next(1, 'ATL', 'MDW')).toBe(0)
    expect(numbering.next(1, 'ATL', 'SAV')).toBe(1)
    expect(numbering.next(2, 'ATL', 'SAV')).toBe(0)
  })

  it('refuses a source that is not in order, where it would give a number twice', () => {
    const numbering = new FlightNumbering()
    numbering.next(2, 'ATL', 'SAV')
    expect(() => numbering.next(1, 'ATL', 'SAV')).toThrow('not in order')
  })
})
