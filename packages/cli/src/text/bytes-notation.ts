import { fromHex, toHex, utf8Encode } from '@moraine/base'

/**
 * How bytes are written down. Each notation is lossless and can be read back by `parseBytes`:
 *
 *     text     printable ASCII as it stands, \\ for a backslash, \xNN for every other byte; inside quotes \' for a quote
 *     hex      0x and two digits a byte
 *     base64
 */
export type BytesNotation = 'text' | 'hex' | 'base64'

export function formatBytesAs(bytes: Uint8Array, notation: BytesNotation): string {
  switch (notation) {
    case 'hex':
      return `0x${toHex(bytes)}`
    case 'base64':
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
    case 'text':
      return escaped(bytes, NEEDS_ESCAPE)
  }
}

/** The same for a line of text: quoted unless the notation needs no quotes. */
export function quoted(bytes: Uint8Array, notation: BytesNotation): string {
  return notation === 'text' ? `'${escaped(bytes, NEEDS_ESCAPE_IN_QUOTES)}'` : formatBytesAs(bytes, notation)
}

/** Quoted and cut to `maxBytes`, for tables; three dots behind the quote say that there is more. */
export function abbreviated(bytes: Uint8Array, notation: BytesNotation, maxBytes: number): string {
  return bytes.length <= maxBytes ? quoted(bytes, notation) : `${quoted(bytes.subarray(0, maxBytes), notation)}...`
}

const NEEDS_ESCAPE = /[^\x20-\x7e]|\\/
const NEEDS_ESCAPE_IN_QUOTES = /[^\x20-\x7e]|['\\]/

function escaped(bytes: Uint8Array, needsEscape: RegExp): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  // Nearly every key and most values need nothing, and the test is many times faster than the replacement.
  if (!needsEscape.test(text)) return text
  return text.replaceAll(new RegExp(needsEscape, 'g'), (character) => {
    if (character === "'" || character === '\\') return `\\${character}`
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

/**
 * A key from the command line: text with the escapes above, or with `hex` also 0x and digits. Undefined when it is
 * neither.
 */
export function parseKey(text: string, notation: BytesNotation): Uint8Array | undefined {
  if (notation === 'hex' && /^0x/i.test(text)) return fromHex(text.slice(2))
  const pieces: Uint8Array[] = []
  let at = 0
  for (const match of text.matchAll(/\\(?:x([0-9a-fA-F]{2})|(['\\])|)/g)) {
    const [whole, byte, character] = match
    if (whole === '\\') return undefined
    pieces.push(utf8Encode(text.slice(at, match.index)))
    pieces.push(byte === undefined ? utf8Encode(character as string) : Uint8Array.of(Number.parseInt(byte, 16)))
    at = match.index + whole.length
  }
  pieces.push(utf8Encode(text.slice(at)))
  return new Uint8Array(Buffer.concat(pieces))
}
