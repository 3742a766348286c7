import { corruption } from '../format/corruption.ts'

/*
 * What stands before the compressed bytes of a block (RocksDB, format version 2 and up):
 *
 *   varint32 raw length | LZ4 block or ZSTD frame
 */

/** Bytes of the varint. */
export function rawLengthSize(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5
}

/** Writes the varint at the start of `target`. */
export function writeRawLength(target: Uint8Array, length: number): void {
  const last = rawLengthSize(length) - 1
  let rest = length
  for (let i = 0; i < last; i++) {
    target[i] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[last] = rest
}

/** The declared length, not to be believed, and where the compressed bytes begin. */
export function readRawLength(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
  what: string,
): { readonly length: number; readonly at: number } {
  let length = 0
  let scale = 1
  let at = start
  for (;;) {
    if (at >= end || at - start >= 5) throw corruption(name, `${what} declares no uncompressed size`)
    const byte = bytes[at++] as number
    length += (byte & 0x7f) * scale
    if (byte < 0x80) return { length, at }
    scale *= 128
  }
}
