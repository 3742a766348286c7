import type { Db } from 'moraine'

export interface PointReadTimes {
  readonly reads: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Reads the keys one at a time and times each read; a key that is not there is an error. */
export async function timePointReads(
  db: Db,
  keys: readonly Uint8Array[],
  nowMs: () => number,
): Promise<PointReadTimes> {
  const times = new Float64Array(keys.length)
  for (const [i, key] of keys.entries()) {
    const startMs = nowMs()
    const value = await db.get(key)
    times[i] = nowMs() - startMs
    if (value === undefined) throw new Error(`the database lost key ${new TextDecoder().decode(key)}`)
  }
  times.sort()
  const quantile = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { reads: keys.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}
