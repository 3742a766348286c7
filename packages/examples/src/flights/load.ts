import { type Db, WriteBatch } from 'moraine'
import { EntryDigest } from './digest.ts'
import { type FlightBlock, visitEntries } from './flight-block.ts'

export interface LoadResult {
  readonly rows: number
  /** Digest of the entries as encoded from the source. */
  readonly digest: string
  /** Keys picked evenly over the source, for point reads later. */
  readonly sampleKeys: readonly Uint8Array[]
}

/**
 * Writes every block to the database: batches of 500 flights, eight of them in flight so that the engine can group
 * their commits. The engine slows `write` down when flushes fall behind; waiting for it is all the flow control a
 * loader needs.
 */
export async function loadFlights(
  db: Db,
  blocks: AsyncIterable<FlightBlock>,
  expectedRows: number,
  onProgress: (rows: number) => void,
): Promise<LoadResult> {
  const digest = new EntryDigest()
  const sampleKeys: Uint8Array[] = []
  const sampleEvery = Math.max(1, Math.floor(expectedRows / sampleCount))
  const inFlight = new Set<Promise<void>>()
  let rows = 0
  let written = 0
  for await (const block of blocks) {
    digest.merge(block.digest)
    for (let from = 0; from < block.count; from += batchRows) {
      const to = Math.min(from + batchRows, block.count)
      const batch = new WriteBatch()
      visitEntries(block, from, to, (key, value) => {
        batch.put(key, value)
        if (rows++ % sampleEvery === 0) sampleKeys.push(key.slice())
      })
      const write = db.write(batch).then(() => {
        inFlight.delete(write)
        written += to - from
      })
      inFlight.add(write)
      if (inFlight.size >= batchesInFlight) await Promise.race(inFlight)
    }
    onProgress(written)
  }
  await Promise.all(inFlight)
  return { rows, digest: digest.toString(), sampleKeys }
}

const batchRows = 500
const batchesInFlight = 8
const sampleCount = 1000
