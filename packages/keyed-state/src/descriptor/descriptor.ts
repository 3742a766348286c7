import type { Codec } from '../codec/codec.ts'

/** When entries of a state go by themselves. */
export interface TtlOption {
  /** How long an entry lives after it was created or written. */
  readonly ms: number
  /** `write` (default): a write begins the life anew; `read-write`: a read does, too. */
  readonly refresh?: 'write' | 'read-write'
  /** What counts: `processing` (default), the backend's clock, or `event`, its watermark. */
  readonly time?: 'processing' | 'event'
}

/**
 * How to read what an older version of the program has written. An old value is decoded, and goes through one upgrade after
 * another until it has the present version; it is written in it when it is written next.
 */
export interface Upgrade {
  readonly from: number
  readonly to: number
  upgrade(old: never): unknown
  /** What decodes values of version `from`; default: the state's codec, which is told the version. */
  readonly codec?: Codec<unknown>
}

/** What all kinds of state declare. */
export interface StateOptions<T> {
  readonly codec: Codec<T>
  /** Version of what the values mean; default: the codec's. Raise it together with an upgrade. */
  readonly version?: number
  readonly upgrades?: readonly Upgrade[]
  readonly ttl?: TtlOption
  /**
   * For values that are often large: those of at least `largeValueBytes` of the backend (16 KiB) are stored in blob files, beside
   * the tables, and compactions do not rewrite them. Cannot be changed for a state that the database knows. Default: false.
   */
  readonly separateLargeValues?: boolean
}

export type StateKind = 'value' | 'list' | 'map' | 'reducing' | 'aggregating'

interface Described<Kind extends StateKind, T> extends StateOptions<T> {
  readonly kind: Kind
  readonly name: string
}

export type ValueDescriptor<T> = Described<'value', T>
export type ListDescriptor<T> = Described<'list', T>

export interface MapDescriptor<MapKey, T> extends Described<'map', T> {
  readonly keyCodec: Codec<MapKey>
}

export interface ReducingOptions<T> extends StateOptions<T> {
  /** Puts two values together; may change the first one and return it. */
  reduce(a: T, b: T): T
}
export type ReducingDescriptor<T> = Described<'reducing', T> & ReducingOptions<T>

export interface AggregatingOptions<In, Acc, Out> extends StateOptions<Acc> {
  create(): Acc
  /** May change the accumulator and return it. */
  add(accumulator: Acc, value: In): Acc
  result(accumulator: Acc): Out
  /** Needed to merge namespaces. */
  merge?(a: Acc, b: Acc): Acc
}
export type AggregatingDescriptor<In, Acc, Out> = Described<'aggregating', Acc> & AggregatingOptions<In, Acc, Out>

/** Any of them, whatever the types. */
export type StateDescriptor =
  | ValueDescriptor<unknown>
  | ListDescriptor<unknown>
  | MapDescriptor<unknown, unknown>
  | ReducingDescriptor<unknown>
  | AggregatingDescriptor<unknown, unknown, unknown>

/** One value per key and namespace. */
export function valueState<T>(name: string, options: StateOptions<T>): ValueDescriptor<T> {
  return { ...options, kind: 'value', name }
}

/** A list per key and namespace; adding reads nothing. */
export function listState<T>(name: string, options: StateOptions<T>): ListDescriptor<T> {
  return { ...options, kind: 'list', name }
}

/** A map per key and namespace, entries on their own: as large as you like. */
export function mapState<MapKey, T>(name: string, options: StateOptions<T> & { readonly keyCodec: Codec<MapKey> }): MapDescriptor<MapKey, T> {
  return { ...options, kind: 'map', name }
}

/** One value per key and namespace, into which what is added is reduced. */
export function reducingState<T>(name: string, options: ReducingOptions<T>): ReducingDescriptor<T> {
  return { ...options, kind: 'reducing', name }
}

/** An accumulator per key and namespace, and a result made of it. */
export function aggregatingState<In, Acc, Out>(name: string, options: AggregatingOptions<In, Acc, Out>): AggregatingDescriptor<In, Acc, Out> {
  return { ...options, kind: 'aggregating', name }
}
