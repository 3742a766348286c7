import { utf8Decode, utf8Encode } from '@moraine/base'
import { type Codec, wrongType } from './codec.ts'

/** Strings as UTF-8; as keys they are ordered by code point. Text with a lone surrogate has no UTF-8 and is refused. */
export const utf8: Codec<string> = {
  name: 'utf8',
  version: 1,
  scalar: true,
  encode(value) {
    if (typeof value !== 'string') throw wrongType('a string', value)
    return encodeShort(value) ?? encodeAny(value)
  },
  decode: (bytes) => utf8Decode(bytes),
  check: checkString,
  toJson: (value) => value,
  fromJson(json) {
    checkString(json)
    return json
  },
}

function checkString(value: unknown): asserts value is string {
  if (typeof value !== 'string') throw wrongType('a string', value)
  if (!value.isWellFormed()) throw new TypeError('the text holds half of a surrogate pair, which UTF-8 cannot carry')
}

const SHORT = 48

/** Short ASCII, what most keys are, without a native call; undefined for anything else. */
function encodeShort(value: string): Uint8Array | undefined {
  const { length } = value
  if (length > SHORT) return undefined
  const encoded = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i)
    if (code >= 0x80) return undefined
    encoded[i] = code
  }
  return encoded
}

function encodeAny(value: string): Uint8Array {
  checkString(value)
  return utf8Encode(value)
}
