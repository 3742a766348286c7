import { compareBytes, equalBytes, MoraineError, prefixSuccessor } from '@moraine/base'
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

/** Beyond so many entries the rest goes by range deletes. A scan looks at all range deletes there are, so the few are not worth one. */
const MOST_SINGLE_DELETES = 1_000
const MOST_RANGE_DELETES = 64

/**
 * Deletes everything under a prefix but the keys in `kept`, which are spelled in latin1. Keys that come into it meanwhile have been
 * deleted by who put them there: what is written after a range delete is not touched by it.
 */
export async function deletePrefix<Key>(host: StateHost<Key>, separated: boolean, prefix: Uint8Array, kept: ReadonlySet<string> = NONE): Promise<void> {
  const { writer } = host
  let deleted = 0
  for await (const batch of host.spaceOf(separated).scanBatches({ prefix })) {
    for (const [engineKey] of batch) if (kept.size === 0 || !kept.has(latin1(engineKey))) writer.delete(engineKey, separated)
    deleted += batch.length
    const last = batch.at(-1)?.[0]
    if (deleted < MOST_SINGLE_DELETES || kept.size >= MOST_RANGE_DELETES || last === undefined) continue
    // Without a pause, so that nothing can be written between looking at `kept` and the last of the deletes.
    let from = successor(last)
    for (const key of [...kept].map((text) => Buffer.from(text, 'latin1')).sort(compareBytes)) {
      if (compareBytes(key, from) < 0) continue
      writer.deleteRange(from, key, separated)
      from = successor(key)
    }
    // The first byte of a state key is below 0x80.
    writer.deleteRange(from, prefixSuccessor(prefix) as Uint8Array, separated)
    return
  }
}

const NONE: ReadonlySet<string> = new Set()

/** A key as text that is equal for equal keys. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/** Fails for text that is no name of a state: used where states are looked up by name. */
export function unknownState(name: string, known: readonly string[]): MoraineError {
  const list = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`
  return new MoraineError('INVALID', `there is no state '${name}'; ${list}`, { detail: { state: name } })
}

