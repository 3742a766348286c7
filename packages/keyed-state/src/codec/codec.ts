import type { JsonValue } from 'moraine'

/**
 * How values of one type become bytes. Name and version are stored with every state that uses it: a database is never read
 * with another codec than it was written with, unless the state declares an upgrade.
 *
 * A codec of your own needs the first four members only. Without `check` every written value is encoded at once, because
 * that alone shows whether it can be; with it, encoding waits until the value leaves memory.
 */
export interface Codec<T> {
  readonly name: string
  /** A whole number from 1 on; raise it when what `encode` writes changes. */
  readonly version: number
  encode(value: T): Uint8Array
  /** The value of bytes that this codec wrote; `version` is the one they were written with. The bytes are the codec's to keep. */
  decode(bytes: Uint8Array, version: number): T
  /** Throws when the value cannot be encoded, or would come back as another one. Cheaper than `encode`. */
  check?(value: T): void
  /** The value in a savepoint, for people and scripts to read; default: the encoded bytes as base64. */
  toJson?(value: T): JsonValue
  fromJson?(json: JsonValue): T
  /** True when values are strings, numbers or bigints and no two of them have the same bytes. */
  readonly scalar?: boolean
}

/** What a codec throws for a value that is not of its type. */
export function wrongType(wanted: string, value: unknown): TypeError {
  return new TypeError(`${wanted} wanted, not ${describe(value)}`)
}

export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) return `an object of ${value.constructor?.name ?? 'no class'}`
  return String(value)
}
