import type { JsonValue } from 'moraine'
import { type Codec, wrongType } from './codec.ts'

/** Byte arrays as they are. They are copied on the way in. */
export const bytes: Codec<Uint8Array> = {
  name: 'bytes',
  version: 1,
  encode(value) {
    checkBytes(value)
    return value.slice()
  },
  decode: (stored) => stored,
  check: checkBytes,
  toJson: toBase64,
  fromJson: fromBase64,
}

function checkBytes(value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongType('a Uint8Array', value)
}

export function toBase64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')
}

export function fromBase64(json: JsonValue): Uint8Array {
  if (typeof json !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(json)) throw wrongType('base64 text', json)
  return new Uint8Array(Buffer.from(json, 'base64'))
}
