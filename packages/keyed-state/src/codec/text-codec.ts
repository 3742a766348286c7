import { utf8Decode, utf8Encode } from '@moraine/base'
import { type Codec, wrongType } from './codec.ts'

/** Strings as UTF-8; as keys they are ordered by code point. Text with a lone surrogate has no UTF-8 and is refused. */
export const utf8: Codec<string> = {
  name: 'utf8',
  version: 1,
  scalar: true,
  encode(value) {
    checkString(value)
    return utf8Encode(value)
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
