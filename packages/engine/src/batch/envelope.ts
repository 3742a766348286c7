import { type ByteWriter, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'

/**
 * Values that are more than their bytes begin with an envelope:
 *
 *     value    = flags u8 | expiry u48 (with EXPIRES) | payload
 *
 *     EXPIRES  1  the entry is not to be seen from this wall-clock millisecond on
 *     BLOB     2  the payload is a reference to a blob file, which holds the value: blob/blob-reference.ts
 *
 * Whether a value has one is not seen from its bytes. In memory and in the log the kind of the entry says so, by
 * ENVELOPED beside the EntryKind. The table format knows RocksDB's kinds only, so a table says it for all of its puts and
 * merges at once, by a property and in the manifest; an iterator over such a table adds ENVELOPED to their kinds.
 */
export const ENVELOPED = 0x10

/** What of an entry's kind is its EntryKind. */
export const KIND_MASK = 0x0f

const EXPIRES = 1
const BLOB = 2
const KNOWN_FLAGS: number = EXPIRES | BLOB
const EXPIRY_BYTES = 6

/** The kind of an entry of a table whose values are enveloped. */
export function envelopedKind(kind: number): number {
  return kind === EntryKind.put || kind === EntryKind.merge ? kind | ENVELOPED : kind
}

/** Expires never. */
export const NEVER: number = Number.POSITIVE_INFINITY

/** The latest time an envelope can carry, in milliseconds since the Unix epoch: the year 10889. */
export const LAST_EXPIRY_MS: number = 2 ** 48 - 1

export function writeEnvelope(writer: ByteWriter, expiresAtMs: number, blob: boolean): void {
  const flags = (expiresAtMs === NEVER ? 0 : EXPIRES) | (blob ? BLOB : 0)
  writer.u8(flags)
  if (expiresAtMs === NEVER) return
  writer.u32(expiresAtMs >>> 0)
  const high = Math.floor(expiresAtMs / 0x1_0000_0000)
  writer.u8(high & 0xff).u8(high >>> 8)
}

/** When the entry expires, in milliseconds since the Unix epoch; {@link NEVER} when it does not. CORRUPTION for what is no envelope. */
export function expiryOf(bytes: Uint8Array, start: number, end: number): number {
  const flags = flagsOf(bytes, start, end)
  if ((flags & EXPIRES) === 0) return NEVER
  const low =
    (bytes[start + 1] as number) |
    ((bytes[start + 2] as number) << 8) |
    ((bytes[start + 3] as number) << 16) |
    ((bytes[start + 4] as number) << 24)
  const high = (bytes[start + 5] as number) | ((bytes[start + 6] as number) << 8)
  return high * 0x1_0000_0000 + (low >>> 0)
}

/** Whether the payload is a reference to a blob file. */
export function isBlobReference(bytes: Uint8Array, start: number, end: number): boolean {
  return (flagsOf(bytes, start, end) & BLOB) !== 0
}

/** Where the payload begins. */
export function payloadStart(bytes: Uint8Array, start: number, end: number): number {
  return start + ((flagsOf(bytes, start, end) & EXPIRES) === 0 ? 1 : 1 + EXPIRY_BYTES)
}

function flagsOf(bytes: Uint8Array, start: number, end: number): number {
  const flags = start < end ? (bytes[start] as number) : -1
  if (flags < 0 || (flags & ~KNOWN_FLAGS) !== 0 || ((flags & EXPIRES) !== 0 && end - start < 1 + EXPIRY_BYTES)) {
    throw new MoraineError('CORRUPTION', 'a value that should begin with an envelope does not')
  }
  return flags
}
