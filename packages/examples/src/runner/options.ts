import { parseArgs } from 'node:util'
import { UsageError } from '../flights/options.ts'
import type { AnyExample } from './example.ts'

export interface ProgramOptions {
  readonly records: number
  readonly seed: number
  /** URL; undefined for a folder that is removed at the end. */
  readonly location: string | undefined
  /** Folder for the rows; undefined for one that is removed at the end. */
  readonly results: string | undefined
  readonly parallelism: number
  /** Records from one checkpoint to the next; undefined: by time. */
  readonly checkpointEvery: number | undefined
  readonly crashEvery: number | undefined
  readonly json: boolean
  readonly help: boolean
  /** Of a process that is to be killed: after about how many records. */
  readonly liveRecords: number | undefined
}

export function usage(example: AnyExample): string {
  return `Usage: node packages/examples/dist/${example.name}/main.js [options]

${example.summary}.
Runs the job, and compares its rows with those of a plain program that works them out in memory.

  --records <n>           how many records (1 to ${example.mostRecords.toLocaleString('en-US')}; default: ${example.defaultRecords.toLocaleString('en-US')})
  --seed <n>              another seed, another stream (default: 1)
  --location <url>        where the state lives: file:///folder, s3://bucket/prefix?endpoint=http://127.0.0.1:9000 or
                          memory://name; every run makes a new prefix below it, and leaves it there. Default: a folder
                          that is removed at the end
  --results <folder>      where the rows go, an empty folder (default: one that is removed at the end)
  --parallelism <n>       instances of the operator (default: 1)
  --checkpoint-every <n>  records from one checkpoint to the next (default: every second; a quarter of --crash-every)
  --crash-every <n>       the job runs in a process of its own, which kills itself (SIGKILL) at a random moment after about n
                          records, and is started again until it is done
  --json                  print one JSON object instead of the report
  --help                  print this

Exit codes: 0 the rows are equal, 1 they are not or the job failed, 2 misuse`
}

export function parseOptions(args: readonly string[], example: AnyExample): ProgramOptions {
  const values = parse(args)
  const location = values['location']
  const crashEvery = wholeNumber(values, 'crash-every', 1, example.mostRecords)
  if (location !== undefined && !/^(file|s3|memory):\/\//.test(location)) {
    throw new UsageError(`--location must start with file://, s3:// or memory://, not '${location}'`)
  }
  if (crashEvery !== undefined && location?.startsWith('memory:') === true) {
    throw new UsageError('--crash-every needs a --location that outlives a process: file:// or s3://')
  }
  return {
    records: wholeNumber(values, 'records', 1, example.mostRecords) ?? example.defaultRecords,
    seed: wholeNumber(values, 'seed', 0, 2 ** 31) ?? 1,
    location,
    results: values['results'],
    parallelism: wholeNumber(values, 'parallelism', 1, 128) ?? 1,
    checkpointEvery: wholeNumber(values, 'checkpoint-every', 1, Number.MAX_SAFE_INTEGER) ?? (crashEvery === undefined ? undefined : Math.ceil(crashEvery / 4)),
    crashEvery,
    json: values['json'] ?? false,
    help: values['help'] ?? false,
    liveRecords: wholeNumber(values, 'live-records', 1, Number.MAX_SAFE_INTEGER),
  }
}

type Values = { [name in 'records' | 'seed' | 'location' | 'results' | 'parallelism' | 'checkpoint-every' | 'crash-every' | 'live-records']?: string } & {
  [name in 'json' | 'help']?: boolean
}

function wholeNumber(values: Values, name: Exclude<keyof Values, 'json' | 'help'>, least: number, most: number): number | undefined {
  const text = values[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, not '${text}'`)
}

function parse(args: readonly string[]): Values {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        records: text,
        seed: text,
        location: text,
        results: text,
        parallelism: text,
        'checkpoint-every': text,
        'crash-every': text,
        'live-records': text,
        json: flag,
        help: { ...flag, short: 'h' },
      },
    })
    return values
  } catch (error) {
    // parseArgs names the offending argument; the rest of its advice is about its own API.
    throw new UsageError((error as Error).message.split('. ')[0] as string)
  }
}
