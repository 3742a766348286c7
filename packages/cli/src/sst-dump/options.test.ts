// Invariant: a command line is either understood in full or refused; no option is silently ignored.
import { utf8Encode } from '@moraine/base'
import { expect, test } from 'vitest'
import { UsageError } from '../terminal/usage-error.ts'
import { parseSstDumpOptions } from './options.ts'

test('defaults', () => {
  expect(parseSstDumpOptions(['a.sst'])).toEqual({
    command: 'properties',
    names: ['a.sst'],
    from: undefined,
    to: undefined,
    limit: Number.POSITIVE_INFINITY,
    reverse: false,
    notation: 'text',
    json: false,
  })
})

test('everything at once', () => {
  const args = ['--command=scan', '--from=0x61', '--to', '0x62', '--limit=3', '--reverse', '--hex', '--json', 'a', 'b']
  expect(parseSstDumpOptions(args)).toEqual({
    command: 'scan',
    names: ['a', 'b'],
    from: utf8Encode('a'),
    to: utf8Encode('b'),
    limit: 3,
    reverse: true,
    notation: 'hex',
    json: true,
  })
})

test.each([[['--help', 'x']], [['-h']]])('%j asks for help', (args) => {
  expect(parseSstDumpOptions(args)).toBe('help')
})

test.each([
  [[], /which table/],
  [['--bogus', 'x'], /--bogus/],
  [['x', '--command=frob'], /no command 'frob'/],
  [['x', '--command=scan', '--limit=-1'], /--limit takes/],
  [['x', '--command=scan', '--limit=1e3'], /--limit takes/],
  [['x', '--command=scan', '--from=\\q'], /--from/],
  [['x', '--command=scan', '--hex', '--to=0x123'], /--to/],
  [['x', '--limit=3'], /--limit does nothing for properties/],
  [['x', '--command=check', '--from=a'], /--from does nothing for check/],
  [['x', '--command=raw', '--reverse'], /--reverse does nothing for raw/],
  [['x', '--from'], /--from/],
])('%j is refused', (args, message) => {
  expect(() => parseSstDumpOptions(args)).toThrow(UsageError)
  expect(() => parseSstDumpOptions(args)).toThrow(message)
})
