// Invariant: every codec gives back what it was given, and the order of encoded keys is the order of the keys.
import { compareBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { bytes } from './bytes-codec.ts'
import { builtinCodec } from './builtin-codecs.ts'
import type { Codec } from './codec.ts'
import { json } from './json-codec.ts'
import { msgpack } from './msgpack-codec.ts'
import { decodeNamespace, encodeNamespace, type Namespace, namespaceFromJson, namespaceToJson, namespaceToken } from './namespace-codec.ts'
import { bigint, float64, int32, int64 } from './number-codecs.ts'
import { utf8 } from './text-codec.ts'

const ordered: [string, Codec<unknown>, readonly unknown[]][] = [
  ['int32', int32, [-(2 ** 31), -1000, -1, 0, 1, 255, 256, 2 ** 31 - 1]],
  ['int64', int64, [-(2n ** 63n), -(2n ** 32n), -1n, 0n, 1n, 2n ** 32n, 2n ** 63n - 1n]],
  ['float64', float64, [Number.NEGATIVE_INFINITY, -1e300, -2.5, -1e-300, 0, 1e-300, 1, 2.5, 2 ** 53, Number.POSITIVE_INFINITY]],
  ['bigint', bigint, [-(2n ** 3000n), -(2n ** 100n), -256n, -255n, -1n, 0n, 1n, 127n, 128n, 255n, 256n, 2n ** 1000n, 2n ** 1016n, 2n ** 3000n]],
  ['utf8', utf8, ['', '\0', '\0a', 'a', 'a\0', 'aa', 'b', 'é', '€', 'x'.repeat(100), '\u{1F600}']],
  ['bytes', bytes, [[], [0], [0, 0], [0, 1], [1], [255], [255, 0]].map((b) => Uint8Array.from(b))],
]

test.each(ordered)('%s', (name, codec, values) => {
  const sorted = values.map((value) => codec.encode(value))
  for (const [i, encoded] of sorted.entries()) {
    expect(codec.decode(encoded, 1)).toEqual(values[i])
    expect(codec.fromJson?.(JSON.parse(JSON.stringify(codec.toJson?.(values[i]))))).toEqual(values[i])
    if (i > 0 && name !== 'utf8') expect(compareBytes(sorted[i - 1] as Uint8Array, encoded), String(values[i])).toBeLessThan(0)
  }
  expect(builtinCodec(name)).toBe(codec)
})

test('random numbers keep their order', () => {
  const random = new SeededRandom(1)
  for (let i = 0; i < 3_000; i++) {
    const [a, b] = [0, 0].map(() => (random.next() - 0.5) * 10 ** random.below(30)) as [number, number]
    expect(Math.sign(compareBytes(float64.encode(a), float64.encode(b)))).toBe(Math.sign(a - b))
    const [m, n] = [a, b].map((x) => BigInt(Math.round(x)) * (random.chance(0.3) ? 2n ** 70n : 1n)) as [bigint, bigint]
    expect(Math.sign(compareBytes(bigint.encode(m), bigint.encode(n)))).toBe(m < n ? -1 : m > n ? 1 : 0)
  }
})

test('NaN is a number, and minus zero is zero', () => {
  expect(float64.decode(float64.encode(Number.NaN), 1)).toBeNaN()
  expect(float64.encode(-0)).toEqual(float64.encode(0))
})

describe('json and msgpack', () => {
  test.each([['text', 1.5, null, true, { a: [1, { b: 'c' }], '': {} }, []]].flat().map((value) => [value]))('%j', (value) => {
    for (const codec of [json, msgpack]) {
      expect(codec.decode(codec.encode(value), 1)).toEqual(value)
      expect(codec.fromJson?.(JSON.parse(JSON.stringify(codec.toJson?.(value))))).toEqual(value)
    }
  })

  test('msgpack is exact where JSON is not', () => {
    const value = { n: 2n ** 63n, small: 5n, large: 2 ** 60, when: new Date(1_234), raw: [Uint8Array.of(0, 255)], inf: -Infinity, $: { $: 1 } }
    expect(msgpack.decode(msgpack.encode(value), 1)).toEqual(value)
    expect(msgpack.fromJson?.(JSON.parse(JSON.stringify(msgpack.toJson?.(value))))).toEqual(value)
  })

  test('serve as they are and for a type', () => {
    expect(json<{ a: number }>().encode({ a: 1 })).toEqual(json.encode({ a: 1 }))
    expect(json.name).toBe('json')
    expect(msgpack.version).toBe(1)
  })

  test('a decoded value keeps nothing of the bytes it came from', () => {
    const encoded = msgpack.encode({ raw: Uint8Array.of(1, 2) })
    const value = msgpack.decode(encoded, 1)
    encoded.fill(9)
    expect(value).toEqual({ raw: Uint8Array.of(1, 2) })
  })
})

describe('namespaces', () => {
  const sorted: Namespace[] = [-5, 0, 1.5, 7n, 8n, '', '\0', 'a', 'a\0', 'ab', Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(1), [], [1], [1, 'a'], [1, 'b'], [[2], 1], ['a']]

  test('come back, sort, and are told apart', () => {
    const encoded = sorted.map((namespace) => encodeNamespace(namespace))
    for (const [i, each] of encoded.entries()) {
      expect(decodeNamespace(each)).toEqual(sorted[i])
      expect(namespaceFromJson(JSON.parse(JSON.stringify(namespaceToJson(sorted[i] as Namespace))))).toEqual(sorted[i])
    }
    expect(encoded.toSorted(compareBytes).map((each) => decodeNamespace(each))).toEqual([-5, 0, 1.5, 7n, 8n, '', '\0', 'a', 'a\0', 'ab', Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(1), [], [1], [1, 'a'], [1, 'b'], ['a'], [[2], 1]])
    expect(new Set(sorted.map(namespaceToken)).size).toBe(sorted.length)
    expect(namespaceToken(['a', 'b'])).not.toBe(namespaceToken(['a,b']))
    expect(decodeNamespace(encodeNamespace(undefined))).toBeUndefined()
  })
})
