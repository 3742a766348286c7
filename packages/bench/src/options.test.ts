// Invariant: a command line that does not make sense is refused with a sentence that names what is wrong.
import { describe, expect, it } from 'vitest'
import { parseBenchOptions, UsageError } from './options.ts'

describe('bench options', () => {
  it('have defaults, and smaller ones for --quick', () => {
    expect(parseBenchOptions([])).toMatchObject({ only: [], subjects: [], rows: 100_000, rounds: 3, quick: false })
    expect(parseBenchOptions(['--quick'])).toMatchObject({ rows: 20_000, rounds: 1, quick: true })
    expect(parseBenchOptions(['--quick', '--rounds', '5', '--only', 'seek'])).toMatchObject({ rounds: 5, only: ['seek'] })
  })

  it.each([
    [['--only', 'nothing'], 'nothing'],
    [['--subject', 'oracle'], 'oracle'],
    [['--rows', '-1'], '--rows'],
    [['--rounds', '1.5'], '--rounds'],
    [['--location', '/tmp'], '--location'],
    [['--fast'], '--fast'],
  ])('refuse %j', (args, part) => {
    expect(() => parseBenchOptions(args)).toThrow(UsageError)
    expect(() => parseBenchOptions(args)).toThrow(part)
  })
})
