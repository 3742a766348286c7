// Invariant: the tape gives every flight once and the same wherever the reading begins, out of order within the bound but for the
// few that are late.
import { beforeAll, expect, test } from 'vitest'
import { flightsFile, readFlights } from '../flights/source.ts'
import type { FlightReport } from './flight-report.ts'
import { FlightTape, OUT_OF_ORDERNESS_MS } from './flight-tape.ts'

const RECORDS = 10_000
const tape = (records = RECORDS): FlightTape => new FlightTape({ records, seed: 1, partitions: 2, batchRecords: 256 })

async function read(partition: number, offset: number, from: FlightTape = tape()): Promise<(readonly FlightReport[])[]> {
  const batches: (readonly FlightReport[])[] = []
  for await (const batch of from.read(partition, offset)) batches.push(batch)
  return batches
}

let whole: FlightReport[][]
beforeAll(async () => {
  whole = (await Promise.all([read(0, 0), read(1, 0)])).map((batches) => batches.flat())
})

test('has the flights of the source', async () => {
  const spell = ({ airport, time, delayMinutes }: FlightReport): string => `${airport} ${time} ${delayMinutes}`
  const expected: string[] = []
  for await (const { count, origins, minutes, delays } of readFlights(flightsFile(), RECORDS)) {
    for (let i = 0; i < count; i++) expected.push(spell({ airport: origins[i] as string, time: (minutes[i] as number) * 60_000, delayMinutes: delays[i] as number }))
  }
  expect(whole.flat().map(spell).sort()).toEqual(expected.sort())
})

test('from any offset, also far into the file', async () => {
  for (const offset of [1, 2_047, 2_048, 4_999, 5_000]) {
    const partition = offset % 2
    const batches = await read(partition, offset)
    expect(batches.flat()).toEqual(whole[partition]?.slice(offset))
    let end = offset
    for (const batch of batches.slice(0, -1)) expect((end += batch.length) % 256).toBe(0)
  }
  // Row 272,727 is the first of the file's second piece; a block lies across.
  const far = tape(280_000)
  const from = 136_000
  const crossing = (await read(0, from, far)).flat()
  expect(crossing).toHaveLength(140_000 - from)
  expect((await read(0, from + 700, tape(280_000))).flat()).toEqual(crossing.slice(700))
})

test('three in a thousand come late, the others are out of order within the bound', () => {
  let late = 0
  let disorder = 0
  for (const reports of whole) {
    let greatest = 0
    for (const { time } of reports) {
      greatest = Math.max(greatest, time)
      if (greatest - time > OUT_OF_ORDERNESS_MS) late++
      else if (time < greatest) disorder++
    }
  }
  expect(disorder).toBeGreaterThan(RECORDS / 2)
  expect(late).toBeGreaterThan(RECORDS * 0.001)
  expect(late).toBeLessThan(RECORDS * 0.006)
})
