import { MoraineError } from '@moraine/base'
import type { Namespace } from '../codec/namespace-codec.ts'
import { listElementKey } from '../state-key/state-key.ts'
import { codecFailure, type ValueFormat } from '../ttl/value-format.ts'
import type { StateHost } from './state-host.ts'
import { deletePrefix, scanEntries, type ScannedState, type StateEntry } from './state-scan.ts'

const DONE: Promise<void> = Promise.resolve()

/**
 * The lists of a list state. Every element is an entry of its own, numbered by one counter of the whole backend: adding
 * reads nothing, and elements expire one by one. Elements are encoded when they are added, since they never change, and go to
 * the engine from there; there is nothing of lists in the cache.
 *
 * Calls that take several steps have a list for themselves; others on the same list wait for them.
 */
export class ListCells<Key, T> {
  readonly host: StateHost<Key>
  readonly scanned: ScannedState & { readonly home: object }
  readonly #format: ValueFormat<T>
  /** The last of the calls that have a list for themselves, by list. */
  readonly #busy = new Map<string, Promise<unknown>>()

  constructor(host: StateHost<Key>, scanned: ScannedState) {
    this.host = host
    this.scanned = { ...scanned, home: this }
    this.#format = scanned.format as ValueFormat<T>
  }

  add(key: Key, namespace: Namespace | undefined, values: readonly T[]): Promise<void> {
    let prefix: Uint8Array
    let encoded: Uint8Array[]
    try {
      prefix = this.host.keys.stateKey(this.scanned.stateId, key, namespace)
      encoded = values.map((value) => this.#encode(prefix, value))
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.host.gate.isOpen && (this.#busy.size === 0 || !this.#busy.has(listToken(prefix)))) {
      this.#append(prefix, encoded)
      return DONE
    }
    return this.#alone([prefix], () => {
      this.#append(prefix, encoded)
      return DONE
    })
  }

  get(key: Key, namespace: Namespace | undefined): Promise<T[]> {
    return this.#onList(key, namespace, async (prefix) => {
      const { host } = this
      const values: T[] = []
      for await (const entries of this.#entries(prefix)) {
        for (const { value, engineKey } of entries) {
          values.push(value as T)
          // A read that prolongs lives.
          if (this.#format.refreshOnRead) host.writer.put(engineKey, this.#format.encode(value as T, this.#format.newExpiry()), this.scanned.separated)
        }
      }
      return values
    })
  }

  set(key: Key, namespace: Namespace | undefined, values: readonly T[]): Promise<void> {
    return this.#onList(key, namespace, async (prefix) => {
      const encoded = values.map((value) => this.#encode(prefix, value))
      await this.#clear(prefix)
      this.#append(prefix, encoded)
    })
  }

  clear(key: Key, namespace: Namespace | undefined): Promise<void> {
    return this.#onList(key, namespace, (prefix) => this.#clear(prefix))
  }

  /** Appends the elements of the sources to the target, with the lives they have left, and clears the sources. */
  async merge(key: Key, target: Namespace, sources: readonly Namespace[]): Promise<void> {
    const [into, ...from] = [...new Map([target, ...sources].map((space) => this.#named(key, space))).values()]
    if (into === undefined) return
    await this.#alone([into, ...from], async () => {
      await this.host.writer.flush()
      const moved: StateEntry<Key>[] = []
      for (const prefix of from) {
        for await (const entries of scanEntries(this.host.db, this.host.keys, this.scanned, prefix)) moved.push(...entries)
      }
      for (const { value, expiresAt, engineKey } of moved) {
        this.host.writer.put(listElementKey(into, this.host.nextElement()), this.#format.encode(value as T, expiresAt), this.scanned.separated)
        this.host.writer.delete(engineKey, this.scanned.separated)
      }
    })
  }

  #named(key: Key, namespace: Namespace): [string, Uint8Array] {
    const prefix = this.host.keys.stateKey(this.scanned.stateId, key, namespace)
    return [listToken(prefix), prefix]
  }

  async *#entries(prefix: Uint8Array): AsyncGenerator<StateEntry<Key>[]> {
    await this.host.writer.flush()
    yield* scanEntries(this.host.db, this.host.keys, this.scanned, prefix)
  }

  #append(prefix: Uint8Array, encoded: readonly Uint8Array[]): void {
    const { host } = this
    for (const bytes of encoded) host.writer.put(listElementKey(prefix, host.nextElement()), bytes, this.scanned.separated)
  }

  async #clear(prefix: Uint8Array): Promise<void> {
    await this.host.writer.flush()
    await deletePrefix(this.host, this.scanned.separated, prefix)
  }

  #encode(prefix: Uint8Array, value: T): Uint8Array {
    try {
      if (value === undefined) throw new TypeError('undefined is no element of a list')
      this.#format.check(value)
      return this.#format.encode(value, this.#format.newExpiry())
    } catch (error) {
      throw codecFailure('encode', this.scanned.stateName, this.host.keys.describe(prefix), this.#format.codec.name, error)
    }
  }

  #onList<R>(key: Key, namespace: Namespace | undefined, work: (prefix: Uint8Array) => Promise<R>): Promise<R> {
    try {
      const prefix = this.host.keys.stateKey(this.scanned.stateId, key, namespace)
      return this.#alone([prefix], () => work(prefix))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Runs when the calls on these lists that were made before have ended; those that are made later wait for this one. */
  #alone<R>(prefixes: readonly Uint8Array[], work: () => Promise<R>): Promise<R> {
    const { gate } = this.host
    const tokens = prefixes.map(listToken)
    return new Promise((resolve, reject) => {
      gate.enter({
        run: () => {
          gate.begin()
          const before = tokens.flatMap((token) => this.#busy.get(token) ?? [])
          const done = (before.length === 0 ? work() : Promise.all(before).then(work)).finally(() => gate.end())
          const settled: Promise<unknown> = done
            .catch(() => {})
            .then(() => {
              for (const token of tokens) if (this.#busy.get(token) === settled) this.#busy.delete(token)
            })
          for (const token of tokens) this.#busy.set(token, settled)
          resolve(done)
        },
        fail: reject,
      })
    })
  }
}

/** INVALID for what cannot be spread into a list. */
export function listOf<T>(values: Iterable<T>): readonly T[] {
  if (typeof (values as Partial<Iterable<T>> | null)?.[Symbol.iterator] === 'function' && typeof values !== 'string') return [...values]
  throw new MoraineError('INVALID', 'addAll and set of a list take an iterable of values')
}

function listToken(prefix: Uint8Array): string {
  return Buffer.from(prefix.buffer, prefix.byteOffset, prefix.length).toString('latin1')
}
