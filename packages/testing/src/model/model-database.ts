import type { ModelOperation } from './model-operation.ts'

/**
 * What a database should answer, by the simplest means there is: for every key the list of all its versions, looked
 * through from the newest to the oldest whenever somebody asks.
 */
export interface ModelKeyspace {
  /** Empty for the default one. */
  readonly name: string
  /** Applies one operand. */
  readonly operator?: ((base: string | undefined, operand: string) => string) | undefined
  /** How long entries live that do not say so; left out: for ever. */
  readonly ttlMs?: number | undefined
  /** What compactions may have made of a value at any time, undefined for nothing: a filter is at work there. */
  readonly filtered?: ((value: string) => string | undefined) | undefined
}

export type ModelEntry = readonly [key: string, value: string]

export interface ModelBounds {
  readonly gte?: string
  readonly gt?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  readonly reverse?: boolean
  readonly limit?: number
}

/** The moment that is read at: a sequence number, and the wall-clock time that decides what has expired. */
export interface ModelMoment {
  readonly sequence: number
  readonly timeMs: number
}

interface ModelVersion {
  readonly sequence: number
  readonly kind: 'put' | 'delete' | 'merge'
  readonly value: string
  readonly expiresAtMs: number
}

/** Versions of every key that was ever written, oldest first. */
type ModelKeys = Map<string, ModelVersion[]>

export const DEFAULT_MODEL_KEYSPACE: ModelKeyspace = { name: '' }

export class ModelDatabase {
  readonly keyspaces: readonly ModelKeyspace[]
  readonly #keys = new Map<string, ModelKeys>()
  #lastSequence = 0

  constructor(keyspaces: readonly ModelKeyspace[] = [DEFAULT_MODEL_KEYSPACE]) {
    this.keyspaces = keyspaces
    for (const { name } of keyspaces) this.#keys.set(name, new Map())
  }

  get lastSequence(): number {
    return this.#lastSequence
  }

  /** The writes take the next sequence numbers, and their times to live begin at `nowMs`. */
  apply(operations: readonly ModelOperation[], nowMs = 0): void {
    for (const operation of operations) {
      const sequence = ++this.#lastSequence
      const keys = this.#keysOf(operation.keyspace ?? '')
      if (operation.kind === 'deleteRange') {
        // Of keys that are not there a range delete has nothing to say.
        for (const [key, versions] of keys) if (isInRange(key, operation)) versions.push(tombstone(sequence))
        continue
      }
      const { kind, key, value = '' } = operation
      const ttlMs = operation.ttlMs ?? this.#keyspace(operation.keyspace ?? '').ttlMs ?? Number.POSITIVE_INFINITY
      const versions = keys.get(key) ?? []
      keys.set(key, versions)
      versions.push(kind === 'delete' ? tombstone(sequence) : { sequence, kind, value, expiresAtMs: nowMs + ttlMs })
    }
  }

  get(keyspace: string, key: string, at: ModelMoment): string | undefined {
    return this.#valueOf(keyspace, this.#keysOf(keyspace).get(key) ?? [], at)
  }

  scan(keyspace: string, bounds: ModelBounds, at: ModelMoment): ModelEntry[] {
    const state = new Map<string, string>()
    for (const [key, versions] of this.#keysOf(keyspace)) {
      const value = this.#valueOf(keyspace, versions, at)
      if (value !== undefined) state.set(key, value)
    }
    return scanState(state, bounds)
  }

  /** Forgets every write after `sequence`: what a crash may do to writes that were not durable. */
  rollBackTo(sequence: number): void {
    for (const keys of this.#keys.values()) {
      for (const [key, versions] of keys) {
        const left = versions.filter((version) => version.sequence <= sequence)
        if (left.length === 0) keys.delete(key)
        else keys.set(key, left)
      }
    }
    this.#lastSequence = sequence
  }

  /** The next write comes after `sequence`. */
  continueAfter(sequence: number): void {
    this.#lastSequence = sequence
  }

  /** A copy, of the keys in a range (of every keyspace), that goes its own way from here on. */
  fork(range: { readonly gte?: string; readonly lt?: string } = {}): ModelDatabase {
    const copy = new ModelDatabase(this.keyspaces)
    copy.takeIn(this, range)
    return copy
  }

  /** Takes keys of another database in, of which this one must have none. */
  takeIn(other: ModelDatabase, range: { readonly gte?: string; readonly lt?: string } = {}): void {
    for (const [name, keys] of other.#keys) {
      const own = this.#keysOf(name)
      for (const [key, versions] of keys) if (isInRange(key, range)) own.set(key, [...versions])
    }
    this.#lastSequence = Math.max(this.#lastSequence, other.#lastSequence)
  }

  #valueOf(keyspace: string, versions: readonly ModelVersion[], { sequence, timeMs }: ModelMoment): string | undefined {
    const { operator, filtered } = this.#keyspace(keyspace)
    const operands: string[] = []
    let value: string | undefined
    for (const version of versions.toReversed()) {
      if (version.sequence > sequence) continue
      const counts = version.expiresAtMs > timeMs
      if (version.kind === 'merge') {
        if (counts) operands.unshift(version.value)
        continue
      }
      if (version.kind === 'put' && counts) value = version.value
      break
    }
    for (const operand of operands) value = (operator as NonNullable<typeof operator>)(value, operand)
    return value === undefined || filtered === undefined ? value : filtered(value)
  }

  #keyspace(name: string): ModelKeyspace {
    return this.keyspaces.find((keyspace) => keyspace.name === name) as ModelKeyspace
  }

  #keysOf(keyspace: string): ModelKeys {
    return this.#keys.get(keyspace) as ModelKeys
  }
}

/** What a scan of a plain map gives. */
export function scanState(state: ReadonlyMap<string, string>, bounds: ModelBounds): ModelEntry[] {
  const { gte, gt, lt, lte, prefix, reverse, limit } = bounds
  const matching = [...state].filter(
    ([key]) =>
      (gte === undefined || key >= gte) &&
      (gt === undefined || key > gt) &&
      (lt === undefined || key < lt) &&
      (lte === undefined || key <= lte) &&
      (prefix === undefined || key.startsWith(prefix)),
  )
  matching.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  if (reverse === true) matching.reverse()
  return limit === undefined ? matching : matching.slice(0, limit)
}

function tombstone(sequence: number): ModelVersion {
  return { sequence, kind: 'delete', value: '', expiresAtMs: Number.POSITIVE_INFINITY }
}

function isInRange(key: string, { gte, lt }: { readonly gte?: string; readonly lt?: string }): boolean {
  return (gte === undefined || key >= gte) && (lt === undefined || key < lt)
}
