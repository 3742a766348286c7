/**
 * What a database should answer, by the simplest means there is: the list of all writes in order, and the sorted map
 * that they add up to. Keys and values are latin-1 strings, one character a byte.
 */
export interface ModelOperation {
  readonly key: string
  /** Undefined deletes. */
  readonly value: string | undefined
}

export type ModelEntry = readonly [key: string, value: string]

export interface ModelBounds {
  readonly gte?: string
  readonly gt?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  readonly reverse?: boolean
  readonly limit?: number
}

export class ModelDatabase {
  readonly #history: ModelOperation[] = []
  #entries = new Map<string, string>()

  /** Number of writes, which is also the sequence number of the last one. */
  get lastSequence(): number {
    return this.#history.length
  }

  apply(operations: readonly ModelOperation[]): void {
    for (const operation of operations) {
      this.#history.push(operation)
      applyTo(this.#entries, operation)
    }
  }

  get(key: string): string | undefined {
    return this.#entries.get(key)
  }

  /** The state of this moment; later writes do not touch it. */
  freeze(): ReadonlyMap<string, string> {
    return new Map(this.#entries)
  }

  /** Forgets every write after `sequence`: what a crash may do to writes that were not durable. */
  rollBackTo(sequence: number): void {
    this.#history.length = sequence
    this.#entries = new Map()
    for (const operation of this.#history) applyTo(this.#entries, operation)
  }

  scan(bounds: ModelBounds, state: ReadonlyMap<string, string> = this.#entries): ModelEntry[] {
    const { gte, gt, lt, lte, prefix, reverse, limit } = bounds
    const matching = [...state].filter(
      ([key]) =>
        (gte === undefined || key >= gte) &&
        (gt === undefined || key > gt) &&
        (lt === undefined || key < lt) &&
        (lte === undefined || key <= lte) &&
        (prefix === undefined || key.startsWith(prefix)),
    )
    matching.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    if (reverse === true) matching.reverse()
    return limit === undefined ? matching : matching.slice(0, limit)
  }
}

function applyTo(entries: Map<string, string>, { key, value }: ModelOperation): void {
  if (value === undefined) entries.delete(key)
  else entries.set(key, value)
}
