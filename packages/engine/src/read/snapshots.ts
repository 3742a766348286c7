/**
 * The sequence numbers that open snapshots and running scans read at. Flush and compaction keep, for each of them, the
 * newest version of every key that it can see.
 */
export class SnapshotRegistry {
  readonly #holders = new Map<number, number>()

  get count(): number {
    return this.#holders.size
  }

  add(seq: number): void {
    this.#holders.set(seq, (this.#holders.get(seq) ?? 0) + 1)
  }

  remove(seq: number): void {
    const holders = this.#holders.get(seq) ?? 0
    if (holders > 1) this.#holders.set(seq, holders - 1)
    else this.#holders.delete(seq)
  }

  /** The distinct sequence numbers held, ascending. */
  held(): number[] {
    return [...this.#holders.keys()].sort((a, b) => a - b)
  }
}
