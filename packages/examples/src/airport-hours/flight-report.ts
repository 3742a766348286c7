/** A departure as an airport reports it. */
export interface FlightReport {
  readonly airport: string
  /** Scheduled departure, milliseconds since the Unix epoch read as local time. */
  readonly time: number
  /** Arrival delay; negative is early. */
  readonly delayMinutes: number
}
