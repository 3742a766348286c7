import { utf8Decode, utf8Encode } from '@moraine/base'
import type { JsonValue } from 'moraine'
import { checkPlainValue, type PlainValueRules } from './plain-value.ts'
import { type TypedCodec, typedCodec } from './typed-codec.ts'

const RULES: PlainValueRules = { nonFinite: false, bigints: false, bytesAndDates: false }

/**
 * Values that JSON can carry, as JSON text. What would not come back equal is refused: instances of classes (dates too),
 * bigints, NaN. As keys they have no useful order, and the order of fields counts.
 */
export const json: TypedCodec<JsonValue> = typedCodec<JsonValue>({
  name: 'json',
  version: 1,
  encode(value) {
    check(value)
    return utf8Encode(JSON.stringify(value))
  },
  decode: (bytes) => JSON.parse(utf8Decode(bytes)) as JsonValue,
  check,
  toJson: (value) => value,
  fromJson: (value) => value,
})

function check(value: unknown): void {
  checkPlainValue(value, RULES)
}
