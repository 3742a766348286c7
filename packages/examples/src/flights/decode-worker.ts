import { on } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { encodeFlights } from './flight-block.ts'
import { FlightNumbering } from './key.ts'
import { readFlights } from './source.ts'

// A worker thread: decodes the source and encodes entries while the main thread feeds them to the database.
// It sends one block for each message it gets, then `undefined` for the end, so the reader sets the pace.

const port = parentPort
if (port === null) throw new Error('decode-worker runs as a worker thread')
const { path, rowLimit, blockRows } = workerData as { path: string; rowLimit: number; blockRows: number }

const requests = on(port, 'message')
const numbering = new FlightNumbering()
for await (const flights of readFlights(path, rowLimit)) {
  for (let from = 0; from < flights.count; from += blockRows) {
    const block = encodeFlights(flights, from, Math.min(from + blockRows, flights.count), numbering)
    await requests.next()
    port.postMessage(block, [block.keys.buffer, block.keyEnds.buffer, block.values.buffer])
  }
}
port.postMessage(undefined)
port.close()
