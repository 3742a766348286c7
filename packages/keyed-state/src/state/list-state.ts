import type { Namespace } from '../codec/namespace-codec.ts'
import { type ListCells, listOf } from './list-cells.ts'
import { scanKeys } from './state-scan.ts'

/** List state: a list per key and namespace. */
export class ListState<Key, T> {
  readonly #cells: ListCells<Key, T>

  constructor(cells: ListCells<Key, T>) {
    this.#cells = cells
  }

  get name(): string {
    return this.#cells.scanned.stateName
  }

  of(key: Key, namespace?: Namespace): ListHandle<Key, T> {
    return new ListHandle(this.#cells, key, namespace)
  }

  /** Appends the elements of `sources` to those of `target`, and clears the sources: a session window that grows. */
  mergeNamespaces(key: Key, target: Namespace, sources: readonly Namespace[]): Promise<void> {
    return this.#cells.merge(key, target, sources)
  }

  /** The keys that have at least one element, with their namespaces. */
  keys(): AsyncIterable<{ readonly key: Key; readonly namespace: Namespace | undefined }> {
    return scanKeys(this.#cells.host, this.#cells.scanned)
  }
}

export class ListHandle<Key, T> {
  readonly #cells: ListCells<Key, T>
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(cells: ListCells<Key, T>, key: Key, namespace: Namespace | undefined) {
    this.#cells = cells
    this.#key = key
    this.#namespace = namespace
  }

  /** Appends one element. Reads nothing. */
  add(value: T): Promise<void> {
    return this.#cells.add(this.#key, this.#namespace, [value])
  }

  async addAll(values: Iterable<T>): Promise<void> {
    await this.#cells.add(this.#key, this.#namespace, listOf(values))
  }

  /** The elements in the order in which they were added; empty when there are none. */
  get(): Promise<T[]> {
    return this.#cells.get(this.#key, this.#namespace)
  }

  /** Replaces the list. */
  async set(values: Iterable<T>): Promise<void> {
    await this.#cells.set(this.#key, this.#namespace, listOf(values))
  }

  clear(): Promise<void> {
    return this.#cells.clear(this.#key, this.#namespace)
  }
}
