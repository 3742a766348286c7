/**
 * A key as text, one character of U+0000 to U+00FF a byte: what a Map can look up, and `<` compares in the order of the
 * keys. Not what a person reads, that is `printableBytes`.
 */
export type KeyText = string & { readonly __brand: 'keyText' }

export function keyText(bytes: Uint8Array, start = 0, end: number = bytes.length): KeyText {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1') as KeyText
}

/** The bytes of the key, in an array of their own. */
export function keyOfText(text: KeyText): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** The smallest key after `text`: the same bytes and a zero. */
export function textAfter(text: KeyText): KeyText {
  return `${text}\0` as KeyText
}

/** The first of all keys. */
export const EMPTY_TEXT: KeyText = '' as KeyText
