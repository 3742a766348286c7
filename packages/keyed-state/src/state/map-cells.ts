import { MoraineError } from '@moraine/base'
import { type Codec, describe } from '../codec/codec.ts'
import type { Namespace } from '../codec/namespace-codec.ts'
import { mapEntryKey } from '../state-key/state-key.ts'
import type { ValueFormat } from '../ttl/value-format.ts'
import { Cell, type CellHome } from './cell.ts'
import { CellCalls } from './cell-calls.ts'
import type { StateHost } from './state-host.ts'
import { deletePrefix, latin1, scanEntries, type ScannedState } from './state-scan.ts'

/** The entries of one map that are in memory. */
interface MapOwner<T> {
  readonly token: unknown
  readonly spaced: boolean
  /** What the keys of its entries begin with. */
  readonly prefix: Uint8Array
  readonly cells: Map<unknown, Cell<T>>
  /** Clears under way. */
  readonly clears: Set<MapClear>
  /** Calls on the map as a whole that are under way. */
  users: number
  /** Calls that line up behind one on the whole map, which waits for entries to be loaded. */
  queue: (() => void)[] | undefined
}

/** Keys that have been looked at since the clear began: they take care of themselves. */
interface MapClear {
  readonly touched: Set<string>
  done: Promise<void>
}

interface MapToken<T> {
  readonly owner: MapOwner<T>
  readonly entry: unknown
}

/** The cells of a map state, entry by entry, and the calls on them. */
export class MapCells<Key, MapKey, T> implements CellHome<T> {
  readonly stateName: string
  readonly stateId: number
  readonly format: ValueFormat<T>
  readonly separated: boolean
  readonly host: StateHost<Key>
  readonly calls: CellCalls
  readonly #mapKeys: Codec<MapKey>
  readonly #scanned: ScannedState
  readonly #plain = new Map<unknown, MapOwner<T>>()
  readonly #spaced = new Map<unknown, MapOwner<T>>()

  constructor(host: StateHost<Key>, scanned: ScannedState) {
    this.host = host
    this.stateName = scanned.stateName
    this.stateId = scanned.stateId
    this.format = scanned.format as ValueFormat<T>
    this.separated = scanned.separated
    this.#mapKeys = scanned.mapKeyCodec as Codec<MapKey>
    this.#scanned = scanned
    this.calls = new CellCalls(host as StateHost<unknown>)
  }

  get scanned(): ScannedState & { readonly home: object } {
    return { ...this.#scanned, home: this }
  }

  forget(cell: Cell<T>): void {
    const { owner, entry } = cell.token as MapToken<T>
    owner.cells.delete(entry)
    this.#release(owner)
  }

  call<R>(key: Key, namespace: Namespace | undefined, mapKey: MapKey, operation: (cell: Cell<T>) => R): Promise<R> {
    try {
      if (this.host.gate.isOpen) {
        const owner = this.#findOwner(key, namespace)
        const cell = owner?.queue === undefined ? owner?.cells.get(this.#entryToken(mapKey)) : undefined
        if (cell?.ready === true) {
          cell.used = true
          return Promise.resolve(operation(cell))
        }
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return this.calls.whenReady(
      () => this.#locate(key, namespace, mapKey),
      operation,
      (start) => {
        const queue = this.#findOwner(key, namespace)?.queue
        if (queue === undefined) start()
        else queue.push(start)
      },
    )
  }

  /** Removes all entries. Calls made after this one see none of them, even while it still deletes. */
  clear(key: Key, namespace: Namespace | undefined): Promise<void> {
    const { cache, writer } = this.host
    return this.#onWhole(key, namespace, (owner) => {
      const clear: MapClear = { touched: new Set(), done: Promise.resolve() }
      for (const cell of owner.cells.values()) {
        cache.beforeChange(cell)
        cell.value = undefined
        cell.bytes = undefined
        clear.touched.add(latin1(cell.key))
      }
      owner.clears.add(clear)
      clear.done = writer
        .flush()
        .then(() => deletePrefix(this.host, this.separated, owner.prefix, clear.touched))
        .then(() => writer.flush())
        .finally(() => owner.clears.delete(clear))
      return clear.done
    })
  }

  /** The entries in the order of their encoded keys, as they are when the first one is asked for. */
  async *entries(key: Key, namespace: Namespace | undefined): AsyncGenerator<[MapKey, T]> {
    const prefix = await this.#settled(key, namespace)
    const source = scanEntries(this.host.db, this.host.keys, this.#scanned, prefix)
    for await (const entries of source) {
      for (const { mapKey, value } of entries) {
        if (!this.format.refreshOnRead) {
          yield [mapKey as MapKey, value as T]
          continue
        }
        // A read that prolongs lives goes the way of all reads.
        const present = await this.call(key, namespace, mapKey as MapKey, (cell) => this.calls.lend(cell))
        if (present !== undefined) yield [mapKey as MapKey, present]
      }
    }
  }

  /** Writes what has changed of a map, and returns what its keys begin with. */
  async #settled(key: Key, namespace: Namespace | undefined): Promise<Uint8Array> {
    const prefix = await this.#onWhole(key, namespace, async (owner) => {
      for (const cell of owner.cells.values()) this.host.cache.writeBack(cell)
      await Promise.all([...owner.clears].map(({ done }) => done))
      return owner.prefix
    })
    await this.host.writer.flush()
    return prefix
  }

  /**
   * Runs `work`, whose first step needs the whole map: at once when all entries that are in memory are free, else when the
   * calls on them that were made before have run; those that are made later wait behind it.
   */
  #onWhole<R>(key: Key, namespace: Namespace | undefined, work: (owner: MapOwner<T>) => Promise<R>): Promise<R> {
    const { gate } = this.host
    return new Promise((resolve, reject) => {
      gate.enter({
        run: () => {
          try {
            const owner = this.#owner(key, namespace)
            owner.users++
            gate.begin()
            const run = (): void => {
              let working: Promise<R>
              try {
                working = work(owner)
              } catch (error) {
                working = Promise.reject(error)
              }
              working.finally(() => this.#unuse(owner)).then(resolve, reject)
            }
            const start = (): void => this.#whenFree(owner, run)
            if (owner.queue === undefined) start()
            else owner.queue.push(start)
          } catch (error) {
            reject(error)
          }
        },
        fail: reject,
      })
    })
  }

  #whenFree(owner: MapOwner<T>, run: () => void): void {
    const busy = [...owner.cells.values()].filter((cell) => !cell.ready || cell.waiting !== undefined)
    if (busy.length === 0) return run()
    owner.queue = []
    // An entry that could not be loaded has told those who asked for it; it is not in memory now.
    void Promise.allSettled(busy.map((cell) => this.calls.whenFree(cell))).then(() => {
      run()
      this.#runQueue(owner)
    })
  }

  #runQueue(owner: MapOwner<T>): void {
    const queue = owner.queue ?? []
    owner.queue = undefined
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      // When another call on the whole map has to wait, the rest lines up behind that one.
      const behind = owner.queue as (() => void)[] | undefined
      if (behind === undefined) next()
      else behind.push(next)
    }
  }

  #locate(key: Key, namespace: Namespace | undefined, mapKey: MapKey): Cell<T> {
    const owner = this.#owner(key, namespace)
    let entry: unknown
    try {
      entry = this.#entryToken(mapKey)
      const found = owner.cells.get(entry)
      if (found !== undefined) {
        found.used = true
        return found
      }
      const cell = new Cell<T>(this, { owner, entry } satisfies MapToken<T>, mapEntryKey(owner.prefix, this.#encode(mapKey)))
      owner.cells.set(entry, cell)
      if (owner.clears.size > 0) this.#bornCleared(owner, cell)
      else this.calls.load(cell)
      return cell
    } finally {
      this.#release(owner)
    }
  }

  /** An entry that is asked for while a clear runs: there is none, and what the database may still have goes first. */
  #bornCleared(owner: MapOwner<T>, cell: Cell<T>): void {
    for (const { touched } of owner.clears) touched.add(latin1(cell.key))
    this.host.writer.delete(cell.key, this.separated)
    cell.writtenAt = this.host.writer.position
    this.host.cache.admit(cell)
    this.calls.fill(cell, undefined)
  }

  #findOwner(key: Key, namespace: Namespace | undefined): MapOwner<T> | undefined {
    const { keys } = this.host
    return namespace === undefined ? this.#plain.get(keys.token(key)) : this.#spaced.get(keys.spacedToken(key, namespace))
  }

  #owner(key: Key, namespace: Namespace | undefined): MapOwner<T> {
    const found = this.#findOwner(key, namespace)
    if (found !== undefined) return found
    const { keys } = this.host
    const spaced = namespace !== undefined
    const token = spaced ? keys.spacedToken(key, namespace) : keys.token(key)
    const owner: MapOwner<T> = { token, spaced, prefix: keys.stateKey(this.stateId, key, namespace), cells: new Map(), clears: new Set(), users: 0, queue: undefined }
    const owners = spaced ? this.#spaced : this.#plain
    owners.set(token, owner)
    return owner
  }

  #unuse(owner: MapOwner<T>): void {
    owner.users--
    this.host.gate.end()
    this.#release(owner)
  }

  /** Forgets a map of which nothing is in memory. */
  #release(owner: MapOwner<T>): void {
    if (owner.cells.size > 0 || owner.users > 0) return
    const owners = owner.spaced ? this.#spaced : this.#plain
    if (owners.get(owner.token) === owner) owners.delete(owner.token)
  }

  #entryToken(mapKey: MapKey): unknown {
    return this.#mapKeys.scalar === true ? mapKey : latin1(this.#encode(mapKey))
  }

  #encode(mapKey: MapKey): Uint8Array {
    try {
      return this.#mapKeys.encode(mapKey)
    } catch (cause) {
      throw new MoraineError(
        'INVALID',
        `${describe(mapKey)} is no map key of state '${this.stateName}', whose key codec is '${this.#mapKeys.name}': ${(cause as Error).message}`,
        { cause },
      )
    }
  }
}
