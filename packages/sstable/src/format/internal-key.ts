/*
 * An internal key:  user key | trailer, little-endian (8): sequence number << 8 | kind
 *
 * Sequence numbers have 56 bits in the format and 53 here. The trailer is handled as two 32-bit halves, which keeps
 * integers exact without BigInt:  low = (seq mod 2^24) << 8 | kind,  high = floor(seq / 2^24)
 */
export const KEY_TRAILER_BYTES = 8
const SEQ_HIGH_UNIT = 0x100_0000

/** Writes the trailer at `at`. */
export function writeKeyTrailer(bytes: Uint8Array, at: number, seq: number, kind: number): void {
  const high = seq < SEQ_HIGH_UNIT ? 0 : Math.floor(seq / SEQ_HIGH_UNIT)
  const low = seq - high * SEQ_HIGH_UNIT
  bytes[at] = kind
  bytes[at + 1] = low
  bytes[at + 2] = low >>> 8
  bytes[at + 3] = low >>> 16
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
  bytes[at + 6] = high >>> 16
  bytes[at + 7] = high >>> 24
}

/**
 * The sequence number of the trailer at `at`. Numbers of 2^53 and more, which only RocksDB's own separators have,
 * come out inexact but in the right order.
 */
export function readKeySeq(bytes: Uint8Array, at: number): number {
  const low = (bytes[at + 1] as number) | ((bytes[at + 2] as number) << 8) | ((bytes[at + 3] as number) << 16)
  const high =
    ((bytes[at + 4] as number) |
      ((bytes[at + 5] as number) << 8) |
      ((bytes[at + 6] as number) << 16) |
      ((bytes[at + 7] as number) << 24)) >>>
    0
  return high * SEQ_HIGH_UNIT + low
}
