const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: false })

/** Up to this length a loop encodes ASCII faster than the native call starts. */
const LOOP_CHARACTERS = 64

/** UTF-8 bytes of a string, in an array of exactly their size. */
export function utf8Encode(text: string): Uint8Array {
  const { length } = text
  if (length > LOOP_CHARACTERS) return encoder.encode(text)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) return encoder.encode(text)
    bytes[i] = code
  }
  return bytes
}

export function utf8Decode(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Bytes of a hexadecimal string; undefined when it is not one. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** A key as a person wants to read it: printable ASCII as it stands, other bytes as \xNN; cut after `maxLength` bytes. */
export function printableBytes(bytes: Uint8Array, maxLength = 256): string {
  let text = ''
  const shown = Math.min(bytes.length, maxLength)
  for (let i = 0; i < shown; i++) {
    const byte = bytes[i] as number
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return shown < bytes.length ? `${text}... (${bytes.length} bytes)` : text
}
