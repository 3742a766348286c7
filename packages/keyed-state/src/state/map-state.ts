import { MoraineError } from '@moraine/base'
import type { Namespace } from '../codec/namespace-codec.ts'
import { isAsyncFunction } from './cell-calls.ts'
import type { MapCells } from './map-cells.ts'
import { scanKeys } from './state-scan.ts'

/** Map state: a map per key and namespace, stored entry by entry. */
export class MapState<Key, MapKey, T> {
  readonly #cells: MapCells<Key, MapKey, T>

  constructor(cells: MapCells<Key, MapKey, T>) {
    this.#cells = cells
  }

  get name(): string {
    return this.#cells.stateName
  }

  of(key: Key, namespace?: Namespace): MapHandle<Key, MapKey, T> {
    return new MapHandle(this.#cells, key, namespace)
  }

  /** The keys that have at least one entry, with their namespaces. */
  keys(): AsyncIterable<{ readonly key: Key; readonly namespace: Namespace | undefined }> {
    return scanKeys(this.#cells.host, this.#cells.scanned)
  }
}

export class MapHandle<Key, MapKey, T> {
  readonly #cells: MapCells<Key, MapKey, T>
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(cells: MapCells<Key, MapKey, T>, key: Key, namespace: Namespace | undefined) {
    this.#cells = cells
    this.#key = key
    this.#namespace = namespace
  }

  get(mapKey: MapKey): Promise<T | undefined> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, mapKey, (cell) => calls.lend(cell))
  }

  set(mapKey: MapKey, value: T): Promise<void> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, mapKey, (cell) => calls.set(cell, value))
  }

  has(mapKey: MapKey): Promise<boolean> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, mapKey, (cell) => calls.read(cell) !== undefined)
  }

  delete(mapKey: MapKey): Promise<void> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, mapKey, (cell) => calls.clear(cell))
  }

  /** Stores what a plain function returns for the present value of an entry, and resolves to it; undefined deletes. */
  update(mapKey: MapKey, change: (value: T | undefined) => T | undefined): Promise<T | undefined> {
    if (isAsyncFunction(change)) {
      return Promise.reject(new MoraineError('INVALID', 'update of a map entry takes a plain function, not an async one'))
    }
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, mapKey, (cell) => calls.update(cell, change))
  }

  /** `for await (const [mapKey, value] of handle.entries())`, in the order of the encoded map keys. Read, not changed. */
  entries(): AsyncIterable<[MapKey, T]> {
    return this.#cells.entries(this.#key, this.#namespace)
  }

  async *keys(): AsyncGenerator<MapKey> {
    for await (const [mapKey] of this.entries()) yield mapKey
  }

  async *values(): AsyncGenerator<T> {
    for await (const [, value] of this.entries()) yield value
  }

  /** Removes all entries. */
  clear(): Promise<void> {
    return this.#cells.clear(this.#key, this.#namespace)
  }
}
