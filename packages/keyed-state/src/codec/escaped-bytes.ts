import { type ByteReader, ByteWriter } from '@moraine/base'

/**
 * Bytes that end themselves and keep their order, whatever follows: 0x00 becomes 0x00 0xff, and 0x00 0x01 is the end. Of two
 * byte strings of which one begins with the other, the shorter sorts first.
 */
export function writeEscaped(writer: ByteWriter, bytes: Uint8Array): void {
  writer.reserve(bytes.length + 2)
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    writer.u8(byte)
    if (byte === 0) writer.u8(0xff)
  }
  writer.u8(0).u8(1)
}

export function readEscaped(reader: ByteReader): Uint8Array {
  const writer = new ByteWriter(32)
  for (;;) {
    const byte = reader.u8()
    if (byte === 0 && reader.u8() === 1) return writer.finish()
    writer.u8(byte)
  }
}
