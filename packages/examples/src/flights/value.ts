/**
 * The value of a flight, what its key does not say:
 *
 *     delay int16 LE (minutes) | distance uint16 LE (miles)
 */
export interface FlightValue {
  readonly delayMinutes: number
  readonly distanceMiles: number
}

export const flightValueSizeBytes = 4

export function writeFlightValue(view: DataView, offset: number, delayMinutes: number, distanceMiles: number): void {
  view.setInt16(offset, delayMinutes, true)
  view.setUint16(offset + 2, distanceMiles, true)
}

export function readFlightValue(bytes: Uint8Array): FlightValue {
  if (bytes.length !== flightValueSizeBytes) {
    throw new Error(`a flight's value has ${flightValueSizeBytes} bytes, this one has ${bytes.length}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return { delayMinutes: view.getInt16(0, true), distanceMiles: view.getUint16(2, true) }
}
