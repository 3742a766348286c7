import { ByteReader, ByteWriter, utf8Decode, utf8Encode } from '@moraine/base'
import type { JsonValue } from 'moraine'
import { fromBase64, toBase64 } from './bytes-codec.ts'
import { wrongType } from './codec.ts'
import { readEscaped, writeEscaped } from './escaped-bytes.ts'
import { bigint, decodeFloat64, encodeFloat64 } from './number-codecs.ts'

/** What separates states of one key: a window's start, a name, or several of these in a row. */
export type Namespace = string | number | bigint | Uint8Array | readonly Namespace[]

/**
 * Namespaces as bytes that sort: none first, then numbers, bigints, text, bytes, lists; numbers by value.
 *
 *   number  0x10 | float64, as the codec float64
 *   bigint  0x20 | as the codec bigint, escaped
 *   text    0x30 | UTF-8, escaped
 *   bytes   0x40 | escaped
 *   list    0x50 | its items | 0x00
 *
 * escaped: see escaped-bytes.ts.
 */
const Tag = { number: 0x10, bigint: 0x20, text: 0x30, bytes: 0x40, list: 0x50, end: 0x00 } as const

const NONE = new Uint8Array(0)

/** Bytes of a namespace; none for undefined. Throws a TypeError for anything else. */
export function encodeNamespace(namespace: Namespace | undefined): Uint8Array {
  if (namespace === undefined) return NONE
  const writer = new ByteWriter(32)
  writeNamespace(writer, namespace)
  return writer.finish()
}

export function decodeNamespace(bytes: Uint8Array): Namespace | undefined {
  if (bytes.length === 0) return undefined
  const reader = new ByteReader(bytes, 'a namespace')
  const namespace = readNamespace(reader, reader.u8())
  reader.expectEnd()
  return namespace
}

/** A string that is equal for equal namespaces only, without encoding anything. */
export function namespaceToken(namespace: Namespace): string {
  if (typeof namespace === 'string') return `s${namespace}`
  if (typeof namespace === 'number') return `n${namespace}`
  if (typeof namespace === 'bigint') return `i${namespace}`
  if (namespace instanceof Uint8Array) return `b${Buffer.from(namespace).toString('latin1')}`
  if (!Array.isArray(namespace)) throw wrongNamespace(namespace)
  let token = 'l'
  for (const item of namespace as readonly Namespace[]) {
    const part = namespaceToken(item)
    token += `${part.length}:${part}`
  }
  return token
}

export function namespaceToJson(namespace: Namespace): JsonValue {
  if (typeof namespace === 'bigint') return { bigint: String(namespace) }
  if (namespace instanceof Uint8Array) return { bytes: toBase64(namespace) }
  if (typeof namespace === 'number' && !Number.isFinite(namespace)) return { number: String(namespace) }
  if (typeof namespace === 'object') return namespace.map(namespaceToJson)
  return namespace
}

export function namespaceFromJson(json: JsonValue): Namespace {
  if (typeof json === 'string' || typeof json === 'number') return json
  if (Array.isArray(json)) return json.map(namespaceFromJson)
  const fields = json as Readonly<Record<string, JsonValue>>
  if (typeof fields?.['bigint'] === 'string') return BigInt(fields['bigint'])
  if (typeof fields?.['number'] === 'string') return Number(fields['number'])
  if (typeof fields?.['bytes'] === 'string') return fromBase64(fields['bytes'])
  throw wrongNamespace(json)
}

function writeNamespace(writer: ByteWriter, namespace: Namespace): void {
  if (typeof namespace === 'number') {
    writer.u8(Tag.number).bytes(encodeFloat64(namespace))
  } else if (typeof namespace === 'bigint') {
    writeEscaped(writer.u8(Tag.bigint), bigint.encode(namespace))
  } else if (typeof namespace === 'string') {
    if (!namespace.isWellFormed()) throw new TypeError('the namespace holds half of a surrogate pair')
    writeEscaped(writer.u8(Tag.text), utf8Encode(namespace))
  } else if (namespace instanceof Uint8Array) {
    writeEscaped(writer.u8(Tag.bytes), namespace)
  } else if (Array.isArray(namespace)) {
    writer.u8(Tag.list)
    for (const item of namespace as readonly Namespace[]) writeNamespace(writer, item)
    writer.u8(Tag.end)
  } else {
    throw wrongNamespace(namespace)
  }
}

function readNamespace(reader: ByteReader, tag: number): Namespace {
  switch (tag) {
    case Tag.number:
      return decodeFloat64(reader.bytes(8), 0)
    case Tag.bigint:
      return bigint.decode(readEscaped(reader), 1)
    case Tag.text:
      return utf8Decode(readEscaped(reader))
    case Tag.bytes:
      return readEscaped(reader)
    case Tag.list: {
      const items: Namespace[] = []
      for (let next = reader.u8(); next !== Tag.end; next = reader.u8()) items.push(readNamespace(reader, next))
      return items
    }
    default:
      throw new RangeError(`no namespace begins with byte ${tag}`)
  }
}

function wrongNamespace(value: unknown): TypeError {
  return wrongType('a namespace (a string, number, bigint, Uint8Array, or a list of these)', value)
}
