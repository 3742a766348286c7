import type { Namespace } from '../codec/namespace-codec.ts'
import type { ValueFormat } from '../ttl/value-format.ts'
import { Cell, type CellHome } from './cell.ts'
import { CellCalls, isAsyncFunction } from './cell-calls.ts'
import type { StateHost } from './state-host.ts'
import type { ScannedState } from './state-scan.ts'

const PREFETCH_CHUNK = 1_024

/** The cells of a state with one value per key and namespace, and the calls on them. */
export class ValueCells<Key, T> implements CellHome<T> {
  readonly stateName: string
  readonly stateId: number
  readonly format: ValueFormat<T>
  readonly separated: boolean
  readonly host: StateHost<Key>
  readonly calls: CellCalls
  readonly scanned: ScannedState & { readonly home: object }
  // Most states have no namespaces, and then a key that is a string or a number needs no other name.
  readonly #plain = new Map<unknown, Cell<T>>()
  readonly #spaced = new Map<unknown, Cell<T>>()

  constructor(host: StateHost<Key>, scanned: ScannedState) {
    this.host = host
    this.stateName = scanned.stateName
    this.stateId = scanned.stateId
    this.format = scanned.format as ValueFormat<T>
    this.separated = scanned.separated
    this.scanned = { ...scanned, home: this }
    this.calls = new CellCalls(host as StateHost<unknown>)
  }

  forget(cell: Cell<T>): void {
    if (this.#plain.get(cell.token) === cell) this.#plain.delete(cell.token)
    else this.#spaced.delete(cell.token)
  }

  /** The cell of a key when a call on it may run at once; else undefined, and `call` is the way. */
  free(key: Key, namespace: Namespace | undefined): Cell<T> | undefined {
    if (!this.host.gate.isOpen) return undefined
    const cell = this.#find(key, namespace)
    if (cell === undefined || !cell.ready) return undefined
    cell.used = true
    return cell
  }

  /** Like `free`, and looks into the memory of the engine; for calls that must not wait. */
  resident(key: Key, namespace: Namespace | undefined): Cell<T> | undefined {
    if (!this.host.gate.isOpen) return undefined
    const cell = this.locate(key, namespace)
    return cell.ready ? cell : undefined
  }

  /** Runs a call at once when it can be, else in its turn. */
  call<R>(key: Key, namespace: Namespace | undefined, operation: (cell: Cell<T>) => R): Promise<R> {
    try {
      const cell = this.free(key, namespace)
      if (cell !== undefined) return Promise.resolve(operation(cell))
    } catch (error) {
      return Promise.reject(error)
    }
    return this.calls.whenReady(() => this.locate(key, namespace), operation)
  }

  update(key: Key, namespace: Namespace | undefined, change: (value: T | undefined) => T | undefined | Promise<T | undefined>): Promise<T | undefined> {
    if (isAsyncFunction(change)) {
      const holding = change as (value: T | undefined) => Promise<T | undefined>
      return this.calls.updateHolding(() => this.locate(key, namespace), holding)
    }
    const { calls } = this
    return this.call(key, namespace, (cell) => calls.update(cell, change as (value: T | undefined) => T | undefined))
  }

  /** The cell of a key, made and being loaded when there was none. INVALID for a key that is not held here. */
  locate(key: Key, namespace: Namespace | undefined): Cell<T> {
    const found = this.#find(key, namespace)
    if (found !== undefined) {
      found.used = true
      return found
    }
    const cell = this.#make(key, namespace)
    this.calls.load(cell)
    return cell
  }

  /** Brings many keys into memory with one look into the database for a chunk of them. */
  async prefetch(keys: Iterable<Key>, namespace: Namespace | undefined): Promise<void> {
    const { gate } = this.host
    await gate.entered()
    gate.begin()
    try {
      const list = [...keys]
      for (let i = 0; i < list.length; i += PREFETCH_CHUNK) await this.#fetch(list.slice(i, i + PREFETCH_CHUNK), namespace)
    } finally {
      gate.end()
    }
  }

  async #fetch(keys: readonly Key[], namespace: Namespace | undefined): Promise<void> {
    const { cache } = this.host
    if (cache.isOverfull) await new Promise<void>((resolve) => cache.whenRoom(resolve))
    const missing: Cell<T>[] = []
    const coming: Cell<T>[] = []
    try {
      for (const key of keys) {
        const known = this.#find(key, namespace)
        if (known === undefined) {
          const cell = this.#make(key, namespace)
          cache.admit(cell)
          missing.push(cell)
        } else {
          // It is wanted now: the eviction that this may start should take others.
          known.used = true
          if (!known.ready && !known.running) coming.push(known)
        }
      }
      const found = missing.length === 0 ? [] : await this.host.spaceOf(this.separated).getMany(missing.map((cell) => cell.key))
      for (const [i, cell] of missing.entries()) this.calls.fill(cell, found[i])
    } catch (error) {
      for (const cell of missing) this.calls.fail(cell, error)
      throw error
    }
    // What fails there fails those who asked for it.
    await Promise.allSettled(coming.filter((cell) => !cell.ready).map((cell) => this.calls.whenFree(cell)))
  }

  #find(key: Key, namespace: Namespace | undefined): Cell<T> | undefined {
    if (namespace === undefined) return this.#plain.get(this.host.keys.token(key))
    return this.#spaced.get(this.host.keys.spacedToken(key, namespace))
  }

  #make(key: Key, namespace: Namespace | undefined): Cell<T> {
    const { keys } = this.host
    const engineKey = keys.stateKey(this.stateId, key, namespace)
    const token = namespace === undefined ? keys.token(key) : keys.spacedToken(key, namespace)
    const cell = new Cell<T>(this, token, engineKey)
    if (namespace === undefined) this.#plain.set(token, cell)
    else this.#spaced.set(token, cell)
    return cell
  }
}
