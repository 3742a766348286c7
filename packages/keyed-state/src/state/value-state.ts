import type { Namespace } from '../codec/namespace-codec.ts'
import { SingleValueStates } from './keyed-states.ts'
import type { ValueCells } from './value-cells.ts'

/** What a synchronous read knows; undefined: only a read that waits could tell. */
export type Resident<T> = { readonly value: T } | { readonly absent: true } | undefined

const ABSENT: { readonly absent: true } = { absent: true }
const DONE: Promise<void> = Promise.resolve()

/** Value state: one value per key and namespace. */
export class ValueState<Key, T> extends SingleValueStates<Key, T> {
  readonly #cells: ValueCells<Key, T>

  constructor(cells: ValueCells<Key, T>) {
    super(cells)
    this.#cells = cells
  }

  /** The value of a key. A handle costs nothing and holds nothing; keep it or make a new one for every call. */
  of(key: Key, namespace?: Namespace): ValueHandle<Key, T> {
    return new ValueHandle(this.#cells, key, namespace)
  }

  /** The values of many keys, in their order, with one look into the database. */
  async getMany(keys: readonly Key[], namespace?: Namespace): Promise<(T | undefined)[]> {
    await this.prefetch(keys, namespace)
    return await Promise.all(keys.map((key) => this.of(key, namespace).get()))
  }

  /** Changes the values of many keys, one look into the database for all of them. A key may occur several times. */
  async updateMany(keys: readonly Key[], change: (value: T | undefined, key: Key) => T | undefined, namespace?: Namespace): Promise<void> {
    await this.prefetch(keys, namespace)
    const cells = this.#cells
    let waiting: Promise<unknown>[] | undefined
    for (const key of keys) {
      const cell = cells.free(key, namespace)
      if (cell !== undefined && cell.waiting === undefined) cells.calls.update(cell, (value) => change(value, key))
      else (waiting ??= []).push(cells.update(key, namespace, (value) => change(value, key)))
    }
    if (waiting !== undefined) await Promise.all(waiting)
  }
}

export class ValueHandle<Key, T> {
  readonly #cells: ValueCells<Key, T>
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(cells: ValueCells<Key, T>, key: Key, namespace: Namespace | undefined) {
    this.#cells = cells
    this.#key = key
    this.#namespace = namespace
  }

  /** The value; undefined when there is none. An object is to be read, not changed: see `update`. */
  get(): Promise<T | undefined> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => calls.lend(cell))
  }

  /** Like `get`, without a promise: undefined when it would have to wait. */
  getResident(): Resident<T> {
    const cell = this.#cells.resident(this.#key, this.#namespace)
    if (cell === undefined) return undefined
    const value = this.#cells.calls.lend(cell)
    return value === undefined ? ABSENT : { value }
  }

  /** Stores a value; INVALID when its codec cannot. */
  set(value: T): Promise<void> {
    const cells = this.#cells
    try {
      const cell = cells.free(this.#key, this.#namespace)
      if (cell !== undefined) {
        cells.calls.set(cell, value)
        return DONE
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return cells.calls.whenReady(
      () => cells.locate(this.#key, this.#namespace),
      (cell) => cells.calls.set(cell, value),
    )
  }

  /**
   * Stores what the function returns for the present value, and resolves to it; undefined clears. The function may change
   * the object that it is given and return it; it should not throw once it has begun to. When it is declared `async`, other
   * calls on this key wait until it has ended; one that it makes itself, for the same key, is INVALID.
   */
  update(change: (value: T | undefined) => T | undefined | Promise<T | undefined>): Promise<T | undefined> {
    return this.#cells.update(this.#key, this.#namespace, change)
  }

  /** Like `update` with a plain function, without a promise: false, and nothing done, when it would have to wait. */
  updateResident(change: (value: T | undefined) => T | undefined): boolean {
    const cell = this.#cells.resident(this.#key, this.#namespace)
    if (cell === undefined) return false
    this.#cells.calls.update(cell, change)
    return true
  }

  clear(): Promise<void> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => calls.clear(cell))
  }
}
