import { bytes } from './bytes-codec.ts'
import type { Codec } from './codec.ts'
import { json } from './json-codec.ts'
import { msgpack } from './msgpack-codec.ts'
import { bigint, float64, int32, int64 } from './number-codecs.ts'
import { utf8 } from './text-codec.ts'

const CODECS: readonly unknown[] = [utf8, json, msgpack, int32, int64, float64, bigint, bytes]

/** The codec of this package that has the name; undefined for a codec of somebody else. */
export function builtinCodec(name: string): Codec<unknown> | undefined {
  return (CODECS as readonly Codec<unknown>[]).find((codec) => codec.name === name)
}
