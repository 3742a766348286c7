import type { Namespace } from '../codec/namespace-codec.ts'
import type { ValueCells } from './value-cells.ts'
import { scanKeys } from './state-scan.ts'

/** What the states with one value per key have in common. */
export abstract class SingleValueStates<Key, T> {
  readonly #cells: ValueCells<Key, T>

  constructor(cells: ValueCells<Key, T>) {
    this.#cells = cells
  }

  get name(): string {
    return this.#cells.stateName
  }

  /** Brings the values of many keys into memory, with one look into the database. */
  prefetch(keys: Iterable<Key>, namespace?: Namespace): Promise<void> {
    return this.#cells.prefetch(keys, namespace)
  }

  /** The keys that have a value, with their namespaces, in the order of key groups and encoded keys. */
  keys(): AsyncIterable<{ readonly key: Key; readonly namespace: Namespace | undefined }> {
    return scanKeys(this.#cells.host, this.#cells.scanned)
  }
}
