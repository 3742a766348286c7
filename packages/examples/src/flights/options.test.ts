// Invariant: a command line that does not make sense is refused with a sentence that names what is wrong.
import { describe, expect, it } from 'vitest'
import { parseQuickstartOptions, UsageError } from './options.ts'

describe('quickstart options', () => {
  it('have defaults', () => {
    expect(parseQuickstartOptions([])).toEqual({
      location: undefined,
      rows: 3_000_000,
      keep: false,
      newPrefix: false,
      json: false,
      help: false,
    })
  })

  it('are read', () => {
    const location = 's3://bucket/prefix?endpoint=http://127.0.0.1:9000'
    const options = parseQuickstartOptions(['--location', location, '--rows', '500', '--new-prefix', '--json'])
    expect(options).toMatchObject({ location, rows: 500, newPrefix: true, json: true })
  })

  it.each([
    [['--rows', '0'], '--rows'],
    [['--rows', 'many'], "'many'"],
    [['--rows', '3000001'], '3000000'],
    [['--location', 'http://x/y'], 'file:// or s3://'],
    [['--location', 'memory://x'], 'second process'],
    [['--location'], '--location'],
    [['--new-prefix'], '--location'],
    [['--fast'], '--fast'],
    [['extra'], 'extra'],
  ])('refuse %j', (args, part) => {
    expect(() => parseQuickstartOptions(args)).toThrow(UsageError)
    expect(() => parseQuickstartOptions(args)).toThrow(part)
  })
})
