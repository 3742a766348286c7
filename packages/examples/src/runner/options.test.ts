// Invariant: a command line that does not make sense is refused with a sentence that names what is wrong, before anything runs.
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../flights/options.ts'
import { sessions } from '../sessions/sessions.ts'
import { parseOptions } from './options.ts'
import { runProgram } from './program.ts'

const parse = (...args: string[]): ReturnType<typeof parseOptions> => parseOptions(args, sessions)

describe('options of an example', () => {
  it('have defaults', () => {
    expect(parse()).toEqual({
      records: 300_000,
      seed: 1,
      location: undefined,
      results: undefined,
      parallelism: 1,
      checkpointEvery: undefined,
      crashEvery: undefined,
      json: false,
      help: false,
      liveRecords: undefined,
    })
  })

  it('are read', () => {
    const location = 's3://bucket/prefix?endpoint=http://127.0.0.1:9000'
    expect(parse('--records', '500', '--seed', '7', '--location', location, '--parallelism', '2', '--crash-every', '100', '--json')).toMatchObject({
      records: 500,
      seed: 7,
      location,
      parallelism: 2,
      crashEvery: 100,
      checkpointEvery: 25,
      json: true,
    })
    expect(parse('--crash-every', '100', '--checkpoint-every', '60')).toMatchObject({ crashEvery: 100, checkpointEvery: 60 })
  })

  it.each([
    [['--records', '0'], '--records'],
    [['--records', '5000001'], '5000000'],
    [['--records', '1e3'], "'1e3'"],
    [['--seed', '-1'], '--seed'],
    [['--parallelism', '129'], '128'],
    [['--crash-every', 'often'], "'often'"],
    [['--location', 'http://x/y'], 'memory://'],
    [['--location', 'memory://x', '--crash-every', '5'], 'outlives'],
    [['--fast'], '--fast'],
    [['extra'], 'extra'],
  ])('refuse %j', (args, part) => {
    expect(() => parse(...args)).toThrow(UsageError)
    expect(() => parse(...args)).toThrow(part)
  })
})

describe('the program', () => {
  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const said = { out: '', err: '' }
    const into = (to: 'out' | 'err'): Writable =>
      new Writable({
        write(chunk, _, done) {
          said[to] += String(chunk)
          done()
        },
      })
    const own = { argv: ['node', 'main.js', ...args], stdout: into('out'), stderr: into('err') } as unknown as typeof process
    return { code: await runProgram(sessions, own), ...said }
  }

  it('runs, reports and compares', async () => {
    const { code, out } = await run('--records', '2000', '--location', 'memory://options-test', '--parallelism', '2')
    expect(out).toContain('They are equal')
    expect(out).toContain('2,000 records of seed 1, 2 instances')
    expect(code).toBe(0)
  })

  it('prints one JSON object when asked to', async () => {
    const { code, out } = await run('--records', '300', '--json')
    expect(JSON.parse(out)).toMatchObject({ example: 'sessions', records: 300, kills: 0, equal: true })
    expect(code).toBe(0)
  })

  it('explains itself', async () => {
    const { code, out } = await run('--help')
    expect(code).toBe(0)
    for (const option of ['records', 'seed', 'location', 'results', 'parallelism', 'checkpoint-every', 'crash-every', 'json']) expect(out).toContain(`--${option} `)
  })

  it('refuses misuse with exit code 2', async () => {
    expect(await run('--records', 'x')).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--records') })
    expect(await run('--live-records', '5')).toMatchObject({ code: 2, err: expect.stringContaining('--crash-every') })
    expect(await run('--results', '.', '--records', '10')).toMatchObject({ code: 2, err: expect.stringContaining('not empty') })
  })
})
