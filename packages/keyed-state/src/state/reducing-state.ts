import type { Namespace } from '../codec/namespace-codec.ts'
import { SingleValueStates } from './keyed-states.ts'
import { mergeValues } from './merge-namespaces.ts'
import type { ValueCells } from './value-cells.ts'

/** Reducing state: what is added is reduced into one value per key and namespace. */
export class ReducingState<Key, T> extends SingleValueStates<Key, T> {
  readonly #cells: ValueCells<Key, T>
  readonly #reduce: (a: T, b: T) => T

  constructor(cells: ValueCells<Key, T>, reduce: (a: T, b: T) => T) {
    super(cells)
    this.#cells = cells
    this.#reduce = reduce
  }

  of(key: Key, namespace?: Namespace): ReducingHandle<Key, T> {
    return new ReducingHandle(this.#cells, this.#reduce, key, namespace)
  }

  /** Reduces the values of `sources` and of `target` into `target`, and clears the sources: a session window that grows. */
  mergeNamespaces(key: Key, target: Namespace, sources: readonly Namespace[]): Promise<void> {
    return mergeValues(this.#cells, key, target, sources, this.#reduce)
  }
}

export class ReducingHandle<Key, T> {
  readonly #cells: ValueCells<Key, T>
  readonly #reduce: (a: T, b: T) => T
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(cells: ValueCells<Key, T>, reduce: (a: T, b: T) => T, key: Key, namespace: Namespace | undefined) {
    this.#cells = cells
    this.#reduce = reduce
    this.#key = key
    this.#namespace = namespace
  }

  /** Resolves to the reduced value. */
  add(value: T): Promise<T> {
    const reduce = this.#reduce
    const { calls } = this.#cells
    return this.#cells.call(
      this.#key,
      this.#namespace,
      (cell) => calls.update(cell, (present) => (present === undefined ? value : reduce(present, value))) as T,
    )
  }

  get(): Promise<T | undefined> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => calls.lend(cell))
  }

  clear(): Promise<void> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => calls.clear(cell))
  }
}
