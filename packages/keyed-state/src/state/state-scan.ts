import { equalBytes, MoraineError } from '@moraine/base'
import type { BatchStream, ScanOptions, Snapshot } from 'moraine'
import type { Codec } from '../codec/codec.ts'
import type { Namespace } from '../codec/namespace-codec.ts'
import type { StateKind } from '../descriptor/descriptor.ts'
import { statePrefix } from '../state-key/state-key.ts'
import { codecFailure, type ValueFormat } from '../ttl/value-format.ts'
import type { Cell } from './cell.ts'
import type { KeySpace } from './key-space.ts'
import { LARGE_VALUES } from './large-values.ts'
import type { StateHost } from './state-host.ts'

/** A state as scans see it. */
export interface ScannedState {
  readonly stateId: number
  readonly stateName: string
  readonly kind: StateKind
  readonly format: ValueFormat<unknown>
  /** Whether its entries are in the keyspace of large values. */
  readonly separated: boolean
  /** Of maps. */
  readonly mapKeyCodec: Codec<unknown> | undefined
}

/** One entry of the database, decoded. */
export interface StateEntry<Key> {
  readonly key: Key
  readonly namespace: Namespace | undefined
  /** Of maps. */
  readonly mapKey: unknown
  readonly value: unknown
  readonly expiresAt: number
  readonly engineKey: Uint8Array
  /** Where the map key or the element's number begins. */
  readonly restAt: number
}

interface ScannableSpace {
  scanBatches(options: ScanOptions): BatchStream
}

/** Whatever can be scanned: the database, or a reader of it. */
export interface Scannable extends ScannableSpace {
  keyspace(name: string): ScannableSpace
}

/** The entries under a prefix that have not expired, in the order of their keys, many a step. */
export async function* scanEntries<Key>(
  source: Scannable,
  keys: KeySpace<Key>,
  state: ScannedState,
  prefix: Uint8Array,
  snapshot?: Snapshot,
): AsyncGenerator<StateEntry<Key>[]> {
  const space = state.separated ? source.keyspace(LARGE_VALUES) : source
  for await (const batch of space.scanBatches({ prefix, ...(snapshot !== undefined && { snapshot }) })) {
    const entries: StateEntry<Key>[] = []
    for (const [engineKey, bytes] of batch) {
      const entry = decodeEntry(keys, state, engineKey, bytes)
      if (entry !== undefined) entries.push(entry)
    }
    if (entries.length > 0) yield entries
  }
}

/** Keys of a state with their namespaces, each once, as they are now. Changes that have not reached the engine are written first. */
export async function* scanKeys<Key>(
  host: StateHost<Key>,
  state: ScannedState & { readonly home: object },
): AsyncGenerator<{ readonly key: Key; readonly namespace: Namespace | undefined }> {
  await settle(host, (cell) => cell.home === state.home)
  const snapshot = host.db.snapshot()
  const { first, last } = host.keys.groups
  let owner: Uint8Array | undefined
  try {
    for (let group = first; group <= last; group++) {
      for await (const entries of scanEntries(host.db, host.keys, state, statePrefix(group, state.stateId), snapshot)) {
        for (const { key, namespace, engineKey, restAt } of entries) {
          const next = engineKey.subarray(0, restAt)
          if (owner !== undefined && equalBytes(owner, next)) continue
          owner = next
          yield { key, namespace }
        }
      }
    }
  } finally {
    snapshot.close()
  }
}

/** Brings changed cells to where a scan finds them. */
export async function settle<Key>(host: StateHost<Key>, belongs: (cell: Cell<unknown>) => boolean): Promise<void> {
  await host.gate.entered()
  host.gate.begin()
  try {
    for (const cell of host.cache.changed()) if (belongs(cell)) host.cache.writeBack(cell)
  } finally {
    host.gate.end()
  }
  await host.writer.flush()
}

function decodeEntry<Key>(keys: KeySpace<Key>, state: ScannedState, engineKey: Uint8Array, bytes: Uint8Array): StateEntry<Key> | undefined {
  const { key, namespace, restAt } = keys.read(engineKey)
  try {
    const stored = state.format.decode(bytes)
    if (stored === undefined) return undefined
    const { mapKeyCodec } = state
    const mapKey = mapKeyCodec?.decode(engineKey.slice(restAt), mapKeyCodec.version)
    return { key, namespace, mapKey, value: stored.value, expiresAt: stored.expiresAt, engineKey, restAt }
  } catch (error) {
    throw codecFailure('decode', state.stateName, keys.describe(engineKey), state.format.codec.name, error)
  }
}

/** Deletes everything under a prefix. One place, so that a range delete of the engine can take over. */
export async function deletePrefix<Key>(host: StateHost<Key>, separated: boolean, prefix: Uint8Array, isKept?: (engineKey: Uint8Array) => boolean): Promise<void> {
  for await (const batch of host.spaceOf(separated).scanBatches({ prefix })) {
    for (const [engineKey] of batch) if (isKept?.(engineKey) !== true) host.writer.delete(engineKey, separated)
  }
}

/** Fails for text that is no name of a state: used where states are looked up by name. */
export function unknownState(name: string, known: readonly string[]): MoraineError {
  const list = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`
  return new MoraineError('INVALID', `there is no state '${name}'; ${list}`, { detail: { state: name } })
}

