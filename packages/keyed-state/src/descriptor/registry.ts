import { MoraineError } from '@moraine/base'
import { FIRST_STATE_ID, stateIdOf } from '../state-key/state-key.ts'
import type { StateDescriptor, StateKind, TtlOption } from './descriptor.ts'

/** A codec as it is remembered. */
export interface StoredCodec {
  readonly name: string
  readonly version: number
}

/** A state as the database remembers it. */
export interface StoredState {
  readonly id: number
  readonly name: string
  readonly kind: StateKind
  /** Name of the codec of the newest values. */
  readonly codec: string
  /** Versions that values may have, ascending; the last one is the newest. */
  readonly versions: readonly number[]
  readonly keyCodec?: StoredCodec
  readonly ttl?: TtlOption
  /** Its entries are in the keyspace of large values. */
  readonly separated?: true
}

/**
 * The states of a database: those it was restored with, and those registered since. A state that the program does not
 * register stays as it is.
 */
export class StateRegistry {
  readonly #states: Map<number, StoredState>

  constructor(stored: readonly StoredState[]) {
    this.#states = new Map(stored.map((state) => [state.id, state]))
  }

  list(): StoredState[] {
    return [...this.#states.values()].sort((a, b) => a.id - b.id)
  }

  byId(id: number): StoredState | undefined {
    return this.#states.get(id)
  }

  byName(name: string): StoredState | undefined {
    const state = this.#states.get(stateIdOf(name))
    return state?.name === name ? state : undefined
  }

  /** Takes a state in; INVALID, and nothing changed, when values that are there could not be read with it. */
  register(descriptor: StateDescriptor): StoredState {
    const { name, kind, codec, ttl } = descriptor
    const id = stateIdOf(name)
    const stored = this.#states.get(id)
    if (stored !== undefined && stored.name !== name) {
      throw new MoraineError('INVALID', `the names '${name}' and '${stored.name}' have the same hash: rename one of these states`)
    }
    if (id < FIRST_STATE_ID) throw new MoraineError('INVALID', `the hash of the name '${name}' is reserved: rename the state`)
    if (stored !== undefined) checkReadable(stored, descriptor)
    const version = descriptor.version ?? codec.version
    const versions = [...new Set([...(stored?.versions ?? []), version])].sort((a, b) => a - b)
    const keyCodec = descriptor.kind === 'map' ? { name: descriptor.keyCodec.name, version: descriptor.keyCodec.version } : undefined
    const state: StoredState = {
      id,
      name,
      kind,
      codec: codec.name,
      versions,
      ...(keyCodec !== undefined && { keyCodec }),
      ...(ttl !== undefined && { ttl }),
      ...(descriptor.separateLargeValues === true && { separated: true }),
    }
    this.#states.set(id, state)
    return state
  }
}

/** INVALID unless every value that the stored state may hold can be read by the descriptor. */
export function checkReadable(stored: StoredState, descriptor: StateDescriptor): void {
  const { name, kind, codec, upgrades = [] } = descriptor
  const version = descriptor.version ?? codec.version
  if (stored.kind !== kind) throw changed(name, `a ${stored.kind} state`, `a ${kind} state`, 'give the new state another name')
  const separates = descriptor.separateLargeValues === true
  if ((stored.separated === true) !== separates) {
    const values = (separated: boolean): string => `${separated ? '' : 'no '}separated values`
    throw changed(name, values(!separates), values(separates), 'separateLargeValues is fixed with the first checkpoint; a savepoint can be edited')
  }
  if (descriptor.kind === 'map' && stored.keyCodec !== undefined) {
    const { keyCodec } = descriptor
    if (keyCodec.name !== stored.keyCodec.name || keyCodec.version !== stored.keyCodec.version) {
      throw changed(name, `map keys in '${spell(stored.keyCodec)}'`, `map keys in '${spell(keyCodec)}'`, 'map keys cannot be upgraded')
    }
  }
  const newest = stored.versions.at(-1) as number
  if (version < newest) {
    throw changed(name, `version ${newest}`, `version ${version}`, 'a newer program has written it; use that program, or an older checkpoint')
  }
  for (const from of stored.versions) {
    if (from === version) {
      if (stored.codec === codec.name) continue
      throw changed(name, `codec '${stored.codec}'`, `codec '${codec.name}'`, `raise the version and declare an upgrade with the old codec`)
    }
    const chain = upgradeChain(upgrades, from, version)
    if (chain === undefined) {
      throw changed(name, `values of version ${from}`, `version ${version}`, `declare the upgrades from ${from} to ${version}`)
    }
    const decoder = chain[0]?.codec ?? codec
    if (from === newest && decoder.name !== stored.codec) {
      throw changed(name, `codec '${stored.codec}'`, `codec '${codec.name}'`, `give the upgrade from ${from} the old codec: { from, to, upgrade, codec }`)
    }
  }
}

/** The upgrades that lead from one version to another; undefined when there is no way. */
export function upgradeChain<U extends { readonly from: number; readonly to: number }>(
  upgrades: readonly U[],
  from: number,
  to: number,
): U[] | undefined {
  const chain: U[] = []
  for (let at = from; at !== to; ) {
    const next = upgrades.find((upgrade) => upgrade.from === at)
    if (next === undefined || next.to > to) return undefined
    chain.push(next)
    at = next.to
  }
  return chain
}

/** The registries of several databases as one; INVALID when a state differs in kind or codec. */
export function uniteRegistries(registries: readonly (readonly StoredState[])[]): StoredState[] {
  const united = new Map<number, StoredState>()
  for (const state of registries.flat()) {
    const other = united.get(state.id)
    if (other === undefined) {
      united.set(state.id, state)
      continue
    }
    const same = other.name === state.name && other.kind === state.kind && other.separated === state.separated && JSON.stringify(other.keyCodec) === JSON.stringify(state.keyCodec)
    const newer = (other.versions.at(-1) as number) > (state.versions.at(-1) as number) ? other : state
    const sameVersion = other.versions.at(-1) === state.versions.at(-1)
    if (!same || (sameVersion && other.codec !== state.codec)) {
      throw new MoraineError('INVALID', `state '${state.name}' is not the same in all sources: it differs in kind, codec, map keys or separateLargeValues`)
    }
    const versions = [...new Set([...other.versions, ...state.versions])].sort((a, b) => a - b)
    united.set(state.id, { ...newer, versions })
  }
  return [...united.values()].sort((a, b) => a.id - b.id)
}

function spell({ name, version }: StoredCodec): string {
  return `${name} ${version}`
}

function changed(state: string, was: string, is: string, hint: string): MoraineError {
  return new MoraineError('INVALID', `state '${state}' holds ${was} and is declared with ${is}: ${hint}`, { detail: { state } })
}
