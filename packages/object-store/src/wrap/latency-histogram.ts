const BUCKETS_PER_DOUBLING = 4
/** Bucket 0 ends at 2^-6 ms; the last of them lies above 18 hours. */
const DOUBLINGS_BELOW_ONE = 6
const BUCKETS = 128

/** Counts of durations in buckets that grow by a fourth root of two, so that a quantile is right to about 19 %. */
export interface LatencyCounts {
  readonly buckets: readonly number[]
  readonly totalMs: number
}

export class LatencyHistogram {
  readonly #buckets: number[] = Array.from({ length: BUCKETS }, () => 0)
  #totalMs = 0

  record(durationMs: number): void {
    const bucket = Math.ceil((Math.log2(Math.max(durationMs, 1e-9)) + DOUBLINGS_BELOW_ONE) * BUCKETS_PER_DOUBLING)
    const index = Math.min(Math.max(bucket, 0), BUCKETS - 1)
    this.#buckets[index] = (this.#buckets[index] as number) + 1
    this.#totalMs += durationMs
  }

  counts(): LatencyCounts {
    return { buckets: [...this.#buckets], totalMs: this.#totalMs }
  }
}

export function subtractLatency(later: LatencyCounts, earlier: LatencyCounts): LatencyCounts {
  return {
    buckets: later.buckets.map((count, i) => count - (earlier.buckets[i] ?? 0)),
    totalMs: later.totalMs - earlier.totalMs,
  }
}

/** The upper bound of the bucket in which the quantile (0 to 1) lies, in milliseconds; undefined without durations. */
export function latencyQuantileMs(counts: LatencyCounts, quantile: number): number | undefined {
  const total = counts.buckets.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  let left = Math.max(1, Math.ceil(total * quantile))
  const index = counts.buckets.findIndex((count) => (left -= count) <= 0)
  return 2 ** (index / BUCKETS_PER_DOUBLING - DOUBLINGS_BELOW_ONE)
}
