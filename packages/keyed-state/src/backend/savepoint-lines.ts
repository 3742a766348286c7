import { MoraineError } from '@moraine/base'
import type { JsonValue } from 'moraine'
import { fromBase64, toBase64 } from '../codec/bytes-codec.ts'
import { type Codec, describe } from '../codec/codec.ts'
import type { StateKind, TtlOption } from '../descriptor/descriptor.ts'
import type { StoredCodec } from '../descriptor/registry.ts'
import type { KeyGroupRange } from '../key-group/key-group.ts'
import type { TimerDomain } from '../timer/timer.ts'

/**
 * A savepoint: lines of JSON, one object each.
 *
 *   header   { savepoint: 1, keyCodec, keyGroups, states: [{ name, kind, codec, version, keyCodec?, ttl?, separated? }], time, metadata }
 *   entries  { state, key, namespace?, mapKey?, value, expiresAt? }    in any order; those of one list in the list's order
 *   timers   { timer: 'event' | 'processing', key, namespace?, time }
 *   end      { end: true }                                             without it the file was cut off
 *
 * Keys, map keys and values are what `toJson` of their codec makes of them; of a codec without it, { base64 } of its bytes.
 */
export const SAVEPOINT_FORMAT = 1

export interface SavepointState {
  readonly name: string
  readonly kind: StateKind
  readonly codec: string
  readonly version: number
  readonly keyCodec?: StoredCodec
  readonly ttl?: TtlOption
  readonly separated?: true
}

export interface SavepointHeader {
  readonly savepoint: number
  readonly keyCodec: StoredCodec
  readonly keyGroups: KeyGroupRange
  readonly states: readonly SavepointState[]
  readonly time: { readonly watermark?: number; readonly firstWatermark?: number; readonly processingMs?: number }
  readonly metadata: JsonValue
}

export interface SavepointEntry {
  readonly state: string
  readonly key: JsonValue
  readonly namespace?: JsonValue
  readonly mapKey?: JsonValue
  readonly value: JsonValue
  /** Milliseconds; 'first-watermark': its life begins with the first watermark. */
  readonly expiresAt?: number | 'first-watermark'
}

export interface SavepointTimer {
  readonly timer: TimerDomain
  readonly key: JsonValue
  readonly namespace?: JsonValue
  readonly time: number
}

export type SavepointLine = SavepointEntry | SavepointTimer | { readonly end: true }

export function line(content: SavepointHeader | SavepointLine): string {
  return `${JSON.stringify(content)}\n`
}

/** INVALID, with the number of the line. */
export function badLine(number: number, reason: string, cause?: unknown): MoraineError {
  return new MoraineError('INVALID', `line ${number} of the savepoint: ${reason}`, { detail: { line: number }, cause })
}

export function parseLine(text: string, number: number): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw badLine(number, `this is no JSON: ${describe(text.trim())}`, cause)
  }
}

export function toJson<T>(codec: Codec<T>, value: T): JsonValue {
  return codec.toJson === undefined ? { base64: toBase64(codec.encode(value)) } : codec.toJson(value)
}

/** Throws what the codec throws. */
export function fromJson<T>(codec: Codec<T>, json: JsonValue, version: number): T {
  if (json === undefined) throw new TypeError('there is none')
  if (codec.fromJson !== undefined) return codec.fromJson(json)
  const { base64 } = (json ?? {}) as { base64?: JsonValue }
  if (base64 === undefined) throw new TypeError(`{ base64 } wanted, because the codec '${codec.name}' has no fromJson`)
  return codec.decode(fromBase64(base64), version)
}
