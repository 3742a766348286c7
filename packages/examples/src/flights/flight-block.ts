import { EntryDigest, type DigestParts } from './digest.ts'
import { type FlightNumbering, formatFlightKey } from './key.ts'
import type { FlightColumns } from './source.ts'
import { flightValueSizeBytes, writeFlightValue } from './value.ts'

/** Encoded flights on their way from the decoding thread to the database; its buffers are transferred, not copied. */
export interface FlightBlock {
  readonly count: number
  /** Keys back to back; key i is `keys[keyEnds[i - 1], keyEnds[i])`. */
  readonly keys: Uint8Array<ArrayBuffer>
  readonly keyEnds: Uint32Array<ArrayBuffer>
  /** Values back to back, each of `flightValueSizeBytes`. */
  readonly values: Uint8Array<ArrayBuffer>
  /** Digest of these entries, as the source has them. */
  readonly digest: DigestParts
}

/** Encodes the flights `[from, to)` of a run of columns. Call in source order: `numbering` is carried along. */
export function encodeFlights(flights: FlightColumns, from: number, to: number, numbering: FlightNumbering): FlightBlock {
  const count = to - from
  const keys = new Uint8Array(count * maxKeySizeBytes)
  const keyEnds = new Uint32Array(count)
  const values = new Uint8Array(count * flightValueSizeBytes)
  const valuesView = new DataView(values.buffer)
  const digest = new EntryDigest()
  let keyEnd = 0
  for (let i = 0; i < count; i++) {
    const row = from + i
    const minutes = flights.minutes[row] as number
    const origin = flights.origins[row] as string
    const destination = flights.destinations[row] as string
    const n = numbering.next(minutes, origin, destination)
    const text = formatFlightKey({ origin, minutes, destination, n })
    const keyStart = keyEnd
    if (keyStart + text.length > keys.length) throw new Error(`flight key longer than ${maxKeySizeBytes} bytes: ${text}`)
    for (let c = 0; c < text.length; c++) keys[keyEnd++] = text.charCodeAt(c)
    keyEnds[i] = keyEnd

    const valueStart = i * flightValueSizeBytes
    writeFlightValue(valuesView, valueStart, flights.delays[row] as number, flights.distances[row] as number)
    digest.add(keys.subarray(keyStart, keyEnd), values.subarray(valueStart, valueStart + flightValueSizeBytes))
  }
  return { count, keys, keyEnds, values, digest: digest.parts() }
}

/** Calls `visit` with each entry's key and value: views into the block, good as long as the block is. */
export function visitEntries(
  block: FlightBlock,
  from: number,
  to: number,
  visit: (key: Uint8Array, value: Uint8Array) => void,
): void {
  let keyStart = from === 0 ? 0 : (block.keyEnds[from - 1] as number)
  for (let i = from; i < to; i++) {
    const keyEnd = block.keyEnds[i] as number
    const valueStart = i * flightValueSizeBytes
    visit(
      block.keys.subarray(keyStart, keyEnd),
      block.values.subarray(valueStart, valueStart + flightValueSizeBytes),
    )
    keyStart = keyEnd
  }
}

/** Airports have three letters and are never twelve flights of one pair in one minute; 32 leaves room to spare. */
const maxKeySizeBytes = 32
