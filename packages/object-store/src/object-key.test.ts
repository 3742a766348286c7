// Invariant: a key that passes is one that every driver can hold, and keys compare as their UTF-8 bytes do.
import { compareBytes, SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { checkKey, checkPrefix, compareKeys } from './object-key.ts'

describe('checkKey', () => {
  it.each(['a', 'a/b', 'manifest/00000001', '...', '.hidden', 'a b/c+d%2F', 'ключ/鍵/🔑', 'x'.repeat(255)])('takes %j', (key) => {
    checkKey(key)
  })

  it('takes 1024 bytes and refuses 1025', () => {
    const segment = `${'x'.repeat(203)}/`
    checkKey(segment.repeat(5) + 'yyyy')
    expect(() => checkKey(`${segment.repeat(5)}yyyyy`)).toThrow(/at most 1024 bytes/)
  })

  it.each(['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', './a', 'a/..', 'a\nb', 'a\0', '\u007f', '\ud800', 'x'.repeat(256), 'é'.repeat(128)])(
    'refuses %j',
    (key) => {
      expect(() => checkKey(key)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    },
  )

  it.each([undefined, null, 7, {}, new Uint8Array(2)])('refuses what is not a string: %j', (key) => {
    expect(() => checkKey(key as never)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})

describe('checkPrefix', () => {
  it.each(['', 'a', 'a/', 'a/.', 'a/..', 'a/b'])('takes %j', (prefix) => {
    checkPrefix(prefix)
  })

  it.each(['/', '/a', 'a//', '../', 'a/../b', './'])('refuses %j', (prefix) => {
    expect(() => checkPrefix(prefix)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})

describe('compareKeys', () => {
  it('orders as UTF-8 bytes do, also around surrogates', () => {
    const random = new SeededRandom(11)
    const points = [0x20, 0x2f, 0x7a, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x1_0000, 0x10_ffff]
    const text = (): string => String.fromCodePoint(...Array.from({ length: random.below(4) }, () => random.pick(points)))
    for (let i = 0; i < 5_000; i++) {
      const [a, b] = [text(), text()]
      expect(Math.sign(compareKeys(a, b)), JSON.stringify([a, b])).toBe(
        Math.sign(compareBytes(utf8Encode(a), utf8Encode(b))),
      )
    }
  })
})
