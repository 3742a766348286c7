import { decodeFloat64, encodeFloat64 } from '../codec/number-codecs.ts'
import { FROM_FIRST_WATERMARK, NEVER } from './backend-time.ts'

/**
 * What every stored value is wrapped in, so that a compaction can tell an expired one without knowing any codec:
 *
 *   head u8 | version varint | expiry, 8 bytes, if the head says so | the codec's bytes
 *
 *   head    0x10, plus 1: an expiry follows; 2: it counts in event time; 4: it counts from the first watermark, none follows
 *   expiry  milliseconds, as the codec float64
 */
const FORMAT = 0x10
const Flag = { expires: 1, eventTime: 2, fromFirstWatermark: 4 } as const
const EXPIRY_BYTES = 8

export interface Envelope {
  readonly version: number
  readonly expiresAt: number
  readonly eventTime: boolean
  /** Where the codec's bytes begin. */
  readonly payloadAt: number
}

export function wrapValue(version: number, expiresAt: number, eventTime: boolean, payload: Uint8Array): Uint8Array {
  const absolute = expiresAt !== NEVER && expiresAt !== FROM_FIRST_WATERMARK
  let headBytes = version < 0x80 ? 2 : 1 + varintBytes(version)
  const versionEnd = headBytes
  if (absolute) headBytes += EXPIRY_BYTES
  const wrapped = new Uint8Array(headBytes + payload.length)
  let head = FORMAT
  if (absolute) head |= Flag.expires
  if (eventTime) head |= Flag.eventTime
  if (expiresAt === FROM_FIRST_WATERMARK) head |= Flag.fromFirstWatermark
  wrapped[0] = head
  let rest = version
  for (let at = 1; at < versionEnd; at++) {
    wrapped[at] = at === versionEnd - 1 ? rest : (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  if (absolute) wrapped.set(encodeFloat64(expiresAt), versionEnd)
  wrapped.set(payload, headBytes)
  return wrapped
}

/** Throws a RangeError for bytes that are no envelope. */
export function openEnvelope(bytes: Uint8Array): Envelope {
  const head = bytes[0]
  if (head === undefined || (head & 0xf8) !== FORMAT) throw new RangeError('the stored bytes are no value of keyed state')
  let version = 0
  let scale = 1
  let at = 1
  for (; ; scale *= 128) {
    const byte = bytes[at++]
    if (byte === undefined || scale > 2 ** 31) throw new RangeError('the stored value ends within its head')
    version += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  const eventTime = (head & Flag.eventTime) !== 0
  if ((head & Flag.fromFirstWatermark) !== 0) return { version, expiresAt: FROM_FIRST_WATERMARK, eventTime, payloadAt: at }
  if ((head & Flag.expires) === 0) return { version, expiresAt: NEVER, eventTime, payloadAt: at }
  return { version, expiresAt: decodeFloat64(bytes, at), eventTime, payloadAt: at + EXPIRY_BYTES }
}

/** Whether a value can expire at all: one look, for compactions. */
export function canExpire(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & (Flag.expires | Flag.fromFirstWatermark)) !== 0
}

function varintBytes(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++
  return size
}
