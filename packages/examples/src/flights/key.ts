/**
 * The key of a flight: `flight/<origin>/<departure>/<destination>/<n>`, for example
 * `flight/ATL/20010131T2359/SAV/0`.
 *
 * All flights of an airport are one contiguous range in order of departure, so "the departures of ATL on 31 January" is
 * a prefix scan. `n` counts flights that agree in everything else; without it they would overwrite each other.
 */
export interface FlightKey {
  readonly origin: string
  /** Scheduled departure, minutes since the Unix epoch. */
  readonly minutes: number
  readonly destination: string
  readonly n: number
}

export const flightPrefix = 'flight/'

export function originPrefix(origin: string): string {
  return `${flightPrefix}${origin}/`
}

/** Minutes since the Unix epoch as `YYYYMMDDThhmm`: as text it sorts by time. */
export function formatDeparture(minutes: number): string {
  const day = Math.floor(minutes / minutesPerDay)
  const minuteOfDay = minutes - day * minutesPerDay
  if (day !== lastDay) {
    lastDay = day
    lastDayText = new Date(day * minutesPerDay * 60_000).toISOString().slice(0, 10).replaceAll('-', '')
  }
  return `${lastDayText}T${twoDigits(Math.floor(minuteOfDay / 60))}${twoDigits(minuteOfDay % 60)}`
}

export function parseDeparture(text: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)$/.exec(text)
  if (match === null) throw new Error(`not a departure time: '${text}'`)
  const [year, month, day, hour, minute] = match.slice(1).map(Number) as [number, number, number, number, number]
  return Date.UTC(year, month - 1, day, hour, minute) / 60_000
}

export function formatFlightKey(key: FlightKey): string {
  return `${flightPrefix}${key.origin}/${formatDeparture(key.minutes)}/${key.destination}/${key.n}`
}

export function parseFlightKey(text: string): FlightKey {
  const parts = text.split('/')
  const [table, origin, departure, destination, n] = parts
  if (parts.length !== 5 || `${table}/` !== flightPrefix) throw new Error(`not a flight key: '${text}'`)
  return {
    origin: origin as string,
    minutes: parseDeparture(departure as string),
    destination: destination as string,
    n: Number(n),
  }
}

/** Gives flights that agree in departure, origin and destination their `n`. Rows must come in order of departure. */
export class FlightNumbering {
  #minutes = -Infinity
  readonly #seen = new Map<string, number>()

  next(minutes: number, origin: string, destination: string): number {
    if (minutes < this.#minutes) throw new Error('flights are not in order of departure')
    if (minutes > this.#minutes) {
      this.#minutes = minutes
      this.#seen.clear()
    }
    const pair = `${origin}/${destination}`
    const n = this.#seen.get(pair) ?? 0
    this.#seen.set(pair, n + 1)
    return n
  }
}

const minutesPerDay = 24 * 60

// Flights come by the thousand for each day, and formatting a date is the dearest part of a key.
let lastDay = NaN
let lastDayText = ''

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : `${value}`
}
