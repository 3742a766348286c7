// Invariant: combining operands and applying the result does what applying them in turn does; damaged operands are refused.
import { SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { MergeOperator } from '../merge-operator.ts'
import { append } from './append.ts'
import { counter, counterBytes, counterValue } from './counter.ts'
import { jsonPatch } from './json-patch.ts'

const KEY = new Uint8Array(1)
const json = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value)))
const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString())
const patched = (base: unknown, ...patches: unknown[]): unknown => parsed(jsonPatch.merge(KEY, base === undefined ? undefined : json(base), patches.map(json)))

/** A draw of operands for each operator. */
const DRAWS: readonly (readonly [MergeOperator, (random: SeededRandom) => Uint8Array])[] = [
  [append, (random) => random.fill(new Uint8Array(random.below(5)))],
  [counter, (random) => random.fill(new Uint8Array(8))],
  [
    jsonPatch,
    (random) => {
      const name = random.pick(['a', 'b', 'c'])
      return random.pick([
        json({ [name]: random.below(5) }),
        json({ [name]: null }),
        json({ [name]: { deep: random.below(5) } }),
        json([{ op: 'add', path: `/${name}`, value: random.below(5) }]),
        json([{ op: 'remove', path: `/${name}` }, { op: 'add', path: '/d', value: 1 }]),
        json([{ op: 'test', path: `/${name}`, value: 1 }, { op: 'replace', path: '', value: { fresh: true } }]),
        json([]),
        json(random.below(3)),
      ])
    },
  ],
]

describe.each(DRAWS)('operator $name', (operator, draw) => {
  test('combine equals applying in turn, in any grouping', () => {
    const random = new SeededRandom(7)
    for (let round = 0; round < 500; round++) {
      const operands = Array.from({ length: 2 + random.below(6) }, () => draw(random))
      const start = random.chance(0.3) ? undefined : operator.merge(KEY, undefined, [draw(random)])
      const inTurn = operands.reduce<Uint8Array | undefined>((base, operand) => operator.merge(KEY, base, [operand]), start)
      const cut = 1 + random.below(operands.length - 1)
      const grouped = [operands.slice(0, cut), operands.slice(cut)].map((group) => (group.length < 2 ? (group[0] as Uint8Array) : (operator.combine?.(KEY, group) as Uint8Array)))
      const twice = operator.combine?.(KEY, grouped) as Uint8Array
      for (const way of [operands, grouped, [twice]]) {
        expect(Buffer.from(operator.merge(KEY, start, way))).toEqual(Buffer.from(inTurn as Uint8Array))
      }
    }
  })
})

describe('counter', () => {
  test('wraps around and agrees with big integers', () => {
    const random = new SeededRandom(3)
    for (let round = 0; round < 500; round++) {
      const numbers = Array.from({ length: 1 + random.below(5) }, () => counterValue(random.fill(new Uint8Array(8))))
      const sum = BigInt.asIntN(64, numbers.reduce((total, number) => total + number, 0n))
      expect(counterValue(counter.merge(KEY, undefined, numbers.map(counterBytes)))).toBe(sum)
    }
    expect(counterValue(counter.merge(KEY, counterBytes(2n ** 63n - 1n), [counterBytes(1)]))).toBe(-(2n ** 63n))
  })

  test.each([0, 7, 9])('refuses %i bytes', (size) => {
    expect(() => counter.check?.(new Uint8Array(size))).toThrow('8 bytes')
    expect(() => counter.merge(KEY, undefined, [new Uint8Array(size)])).toThrow('8 bytes')
  })

  test.each([1.5, 2n ** 63n, -(2n ** 63n) - 1n, Number.NaN, 'x', undefined])('has no bytes for %s', (number) => {
    expect(() => counterBytes(number as number)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
  })
})

describe('json-patch', () => {
  // RFC 7396, appendix A.
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('merge patch: %j with %j is %j', (base, patch, result) => {
    expect(patched(base, patch)).toEqual(result)
  })

  // RFC 6902, appendix A.
  test.each([
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'bar' }],
    [
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [{ foo: ['all', 'grass', 'cows', 'eat'] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }], { foo: ['all', 'cows', 'eat', 'grass'] }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }], { foo: ['bar', ['abc', 'def']] }],
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }], { foo: 'bar' }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 1 }, { op: 'test', path: '/baz', value: 'bar' }], { baz: 'qux' }],
    [{ a: 1 }, [{ op: 'replace', path: '', value: [] }], []],
  ])('patch: %j with %j is %j', (base, patch, result) => {
    expect(patched(base, patch)).toEqual(result)
  })

  test('a path through a number or a text does not fit, and makes nobody unable to read the key', () => {
    for (const document of [2, 'text', true, null, { a: 1 }]) {
      const patch = [{ op: 'add', path: '/a/b', value: 1 }]
      expect(patched(document, patch)).toEqual(document)
    }
  })

  test('a document may have a member that prototypes have, and none is reached through a patch', () => {
    expect(JSON.stringify(patched({ a: 1 }, JSON.parse('{"__proto__":{"b":1}}')))).toBe('{"a":1,"__proto__":{"b":1}}')
    patched({}, [{ op: 'add', path: '/__proto__/polluted', value: 1 }])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  test.each(['/__proto__/b', '/constructor/b', '/a/prototype/b', '/constructor'])('a patch of %s changes no other member, and is refused', (path) => {
    const document = { a: { b: 1 }, b: 2, constructor: { b: 3 } }
    for (const patch of [[{ op: 'replace', path, value: 9 }], [{ op: 'move', from: path, path: '/c' }]]) {
      expect(patched(document, patch)).toEqual(document)
      const operand = new Uint8Array(Buffer.from(JSON.stringify(patch)))
      expect(() => jsonPatch.check?.(operand)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
    }
    expect(patched(document, { constructor: { b: 4 } })).toEqual({ ...document, constructor: { b: 4 } })
  })

  test.each(['', '{', '[1]', '[{"op":"add"}]', '[{"op":"move","path":"/a"}]', '\0'])('refuses the operand %j', (operand) => {
    expect(() => jsonPatch.check?.(new Uint8Array(Buffer.from(operand)))).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
  })
})
