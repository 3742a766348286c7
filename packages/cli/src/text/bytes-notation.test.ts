// Invariant: what is printed of a key can be given back on the command line and names the same bytes.
import { SeededRandom, utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { abbreviated, type BytesNotation, formatBytesAs, parseKey, quoted } from './bytes-notation.ts'

const samples: Uint8Array[] = [
  new Uint8Array(0),
  utf8Encode('flight/ABE/1'),
  utf8Encode("it's \\ 'quoted' \\x41"),
  utf8Encode('Zürich 東京'),
  Uint8Array.from({ length: 256 }, (_, i) => i),
  new SeededRandom(1).fill(new Uint8Array(1000)),
]

describe.each<BytesNotation>(['text', 'hex'])('%s', (notation) => {
  test.each(samples.map((bytes) => [bytes]))('%j comes back', (bytes) => {
    expect(parseKey(formatBytesAs(bytes, notation), notation)).toEqual(bytes)
    const shown = quoted(bytes, notation)
    expect(parseKey(notation === 'text' ? shown.slice(1, -1) : shown, notation)).toEqual(bytes)
  })
})

test('only printable ASCII is printed', () => {
  const text = quoted(samples[4] as Uint8Array, 'text')
  expect(text).toMatch(/^'[\x20-\x7e]*'$/)
  expect(quoted(utf8Encode("a'b\n"), 'text')).toBe(String.raw`'a\'b\x0a'`)
  expect(formatBytesAs(utf8Encode("a'b\n"), 'text')).toBe(String.raw`a'b\x0a`)
})

test('text beyond ASCII on the command line is UTF-8, and 0x means bytes only with hex', () => {
  expect(parseKey('ü', 'text')).toEqual(utf8Encode('ü'))
  expect(parseKey('0x41', 'text')).toEqual(utf8Encode('0x41'))
  expect(parseKey('0x41', 'hex')).toEqual(utf8Encode('A'))
})

test.each([
  ['text', '\\'],
  ['text', 'a\\q'],
  ['text', '\\x4'],
  ['hex', '0x4'],
  ['hex', '0xzz'],
] as const)('%s: %s is refused', (notation, text) => {
  expect(parseKey(text, notation)).toBeUndefined()
})

test('long keys are cut where a table wants them short', () => {
  expect(abbreviated(utf8Encode('abcdef'), 'text', 6)).toBe("'abcdef'")
  expect(abbreviated(utf8Encode('abcdefg'), 'text', 6)).toBe("'abcdef'...")
})
