import { type ByteReader, ByteWriter } from '@moraine/base'

/**
 * Bytes that end themselves and keep their order, whatever follows: 0x00 becomes 0x00 0xff, and 0x00 0x01 is the end. Of two
 * byte strings of which one begins with the other, the shorter sorts first.
 */
export function writeEscaped(writer: ByteWriter, bytes: Uint8Array): void {
  const escaped = new Uint8Array(escapedSize(bytes))
  copyEscaped(escaped, 0, bytes)
  writer.bytes(escaped)
}

/** How many bytes `copyEscaped` writes. */
export function escapedSize(bytes: Uint8Array): number {
  let size = bytes.length + 2
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) size++
  return size
}

/** Like `writeEscaped`, into an array that has room; returns where it ended. */
export function copyEscaped(target: Uint8Array, start: number, bytes: Uint8Array): number {
  let at = start
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    target[at++] = byte
    if (byte === 0) target[at++] = 0xff
  }
  target[at++] = 0
  target[at++] = 1
  return at
}

export function readEscaped(reader: ByteReader): Uint8Array {
  const writer = new ByteWriter(32)
  for (;;) {
    const byte = reader.u8()
    if (byte === 0 && reader.u8() === 1) return writer.finish()
    writer.u8(byte)
  }
}
