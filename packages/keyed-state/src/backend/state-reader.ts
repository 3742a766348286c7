import { equalBytes, MoraineError } from '@moraine/base'
import type { DbReader } from 'moraine'
import { type Codec, describe } from '../codec/codec.ts'
import type { Namespace } from '../codec/namespace-codec.ts'
import type { AggregatingDescriptor, StateDescriptor, StateKind } from '../descriptor/descriptor.ts'
import type { KeySpace } from '../state/key-space.ts'
import { LARGE_VALUES } from '../state/large-values.ts'
import { scanEntries, type ScannedState } from '../state/state-scan.ts'
import { mapEntryKey, statePrefix } from '../state-key/state-key.ts'
import { codecFailure } from '../ttl/value-format.ts'

/** Where a reader reads at the moment. */
export interface ReadSite<Key> {
  readonly db: DbReader
  readonly keys: KeySpace<Key>
}

/** One state of a reader: what its handles read, what is stored, and what map keys are. */
export class StateReader<Key, Read, Stored, MapKey> {
  readonly #descriptor: StateDescriptor
  readonly #scanned: ScannedState
  readonly #site: () => ReadSite<Key>

  /** Made by `KeyedStateReader.state`. */
  constructor(descriptor: StateDescriptor, scanned: ScannedState, site: () => ReadSite<Key>) {
    this.#descriptor = descriptor
    this.#scanned = scanned
    this.#site = site
  }

  get name(): string {
    return this.#scanned.stateName
  }

  get kind(): StateKind {
    return this.#scanned.kind
  }

  of(key: Key, namespace?: Namespace): StateReaderHandle<Key, Read, Stored, MapKey> {
    return new StateReaderHandle(this.#descriptor, this.#scanned, this.#site, key, namespace)
  }

  /** The keys that have state, with their namespaces. */
  async *keys(): AsyncGenerator<{ readonly key: Key; readonly namespace: Namespace | undefined }> {
    const { db, keys } = this.#site()
    let last: Uint8Array | undefined
    for (let group = keys.groups.first; group <= keys.groups.last; group++) {
      for await (const entries of scanEntries(db, keys, this.#scanned, statePrefix(group, this.#scanned.stateId))) {
        for (const { key, namespace, engineKey, restAt } of entries) {
          const owner = engineKey.subarray(0, restAt)
          if (last !== undefined && equalBytes(last, owner)) continue
          last = owner
          yield { key, namespace }
        }
      }
    }
  }
}

/** The state of one key and namespace. */
export class StateReaderHandle<Key, Read, Stored, MapKey> {
  readonly #descriptor: StateDescriptor
  readonly #scanned: ScannedState
  readonly #site: () => ReadSite<Key>
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(descriptor: StateDescriptor, scanned: ScannedState, site: () => ReadSite<Key>, key: Key, namespace: Namespace | undefined) {
    this.#descriptor = descriptor
    this.#scanned = scanned
    this.#site = site
    this.#key = key
    this.#namespace = namespace
  }

  /** The value, the elements of a list, or the result of an aggregate; of a map, the value of a map key. */
  async get(mapKey?: MapKey): Promise<Read | undefined> {
    const { kind } = this.#scanned
    if (kind === 'list') return (await this.#list()) as Read
    if (kind === 'map') return (await this.#read(this.#mapEntry(mapKey))) as Read | undefined
    const value = await this.#read(this.#prefix())
    if (kind !== 'aggregating' || value === undefined) return value as Read | undefined
    return (this.#descriptor as unknown as AggregatingDescriptor<never, unknown, Read>).result(value)
  }

  /** Entries of a map, in the order of their encoded keys. */
  async *entries(): AsyncGenerator<[MapKey, Stored]> {
    if (this.#scanned.kind !== 'map') throw new MoraineError('INVALID', `state '${this.#scanned.stateName}' is a ${this.#scanned.kind} state, which has no entries`)
    const { db, keys } = this.#site()
    for await (const entries of scanEntries(db, keys, this.#scanned, this.#prefix())) {
      for (const { mapKey, value } of entries) yield [mapKey as MapKey, value as Stored]
    }
  }

  async #list(): Promise<unknown[]> {
    const { db, keys } = this.#site()
    const values: unknown[] = []
    for await (const entries of scanEntries(db, keys, this.#scanned, this.#prefix())) for (const { value } of entries) values.push(value)
    return values
  }

  async #read(engineKey: Uint8Array): Promise<unknown> {
    const { db, keys } = this.#site()
    const { format, stateName, separated } = this.#scanned
    const bytes = await (separated ? db.keyspace(LARGE_VALUES) : db).get(engineKey)
    if (bytes === undefined) return undefined
    try {
      return format.decode(bytes)?.value
    } catch (error) {
      throw codecFailure('decode', stateName, keys.describe(engineKey), format.codec.name, error)
    }
  }

  #prefix(): Uint8Array {
    return this.#site().keys.stateKey(this.#scanned.stateId, this.#key, this.#namespace)
  }

  #mapEntry(mapKey: unknown): Uint8Array {
    const codec = this.#scanned.mapKeyCodec as Codec<unknown>
    try {
      return mapEntryKey(this.#prefix(), codec.encode(mapKey))
    } catch (cause) {
      throw new MoraineError('INVALID', `${describe(mapKey)} is no map key of state '${this.#scanned.stateName}'`, { cause })
    }
  }
}
