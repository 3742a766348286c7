/**
 * The moments that open snapshots read at. Flush and compaction keep, for each of them, the newest version of every key
 * that it can see, and nothing counts as expired for them that is not expired at the earliest of them.
 */
export class SnapshotRegistry {
  readonly #holders = new Map<number, { count: number; timeMs: number }>()

  get count(): number {
    return this.#holders.size
  }

  add(seq: number, timeMs: number): void {
    const holders = this.#holders.get(seq)
    if (holders === undefined) {
      this.#holders.set(seq, { count: 1, timeMs })
      return
    }
    holders.count++
    holders.timeMs = Math.min(holders.timeMs, timeMs)
  }

  remove(seq: number): void {
    const holders = this.#holders.get(seq)
    if (holders !== undefined && holders.count > 1) holders.count--
    else this.#holders.delete(seq)
  }

  /** The distinct sequence numbers held, ascending. */
  held(): number[] {
    return [...this.#holders.keys()].sort((a, b) => a - b)
  }

  /** The earliest time held, in wall-clock milliseconds; Infinity when none is. */
  earliestMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY
    for (const { timeMs } of this.#holders.values()) earliestMs = Math.min(earliestMs, timeMs)
    return earliestMs
  }
}
