import { parseArgs } from 'node:util'
import { allWorkloads } from './workload/all-workloads.ts'

export interface BenchOptions {
  readonly only: readonly string[]
  readonly subjects: readonly string[]
  readonly rows: number
  readonly rounds: number
  readonly budgetMs: number
  readonly location: string | undefined
  readonly jsonFile: string | undefined
  readonly quick: boolean
  readonly help: boolean
}

/** A wrong command line; the message is for the person who typed it. */
export class UsageError extends Error {}

export const usage: string = `Usage: npm run bench [-- options]

Measures Moraine beside LevelDB (classic-level, on the local disk) and SlateDB (@slatedb/uniffi, on the same store), in
one run, in alternating rounds; prints medians. 20-byte keys, 100-byte values.

  --only <name>      run this workload only; may be repeated. Names:
                     ${allWorkloads.map((workload) => workload.name).join(' ')}
  --subject <name>   measure this subject only; may be repeated: moraine, classic-level, slatedb
  --rows <n>         entries in the databases that are read (default 100000, quick 20000)
  --rounds <n>       rounds per workload (default 3)
  --quick            short rounds and no load of the flights: under a minute, for a first look
  --location <url>   object store for Moraine and SlateDB (file:///folder or s3://bucket/prefix?endpoint=...); databases
                     made there are not deleted from a bucket. Default: a temporary folder
  --json <file>      write all figures to this file, too
  --help             print this`

export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const values = parse(args)
  const quick = values.quick ?? false
  const only = values.only ?? []
  for (const name of only) {
    if (!allWorkloads.some((workload) => workload.name === name)) {
      throw new UsageError(`there is no workload '${name}': ${allWorkloads.map((workload) => workload.name).join(', ')}`)
    }
  }
  const subjects = values.subject ?? []
  for (const name of subjects) {
    if (!subjectNames.includes(name)) throw new UsageError(`there is no subject '${name}': ${subjectNames.join(', ')}`)
  }
  if (values.location !== undefined && !/^(file|s3):\/\/./.test(values.location)) {
    throw new UsageError(`--location must start with file:// or s3://, not '${values.location}'`)
  }
  return {
    only,
    subjects,
    rows: wholeNumber('--rows', values.rows, quick ? 20_000 : 100_000, 1000, 10_000_000),
    rounds: wholeNumber('--rounds', values.rounds, quick ? 1 : 3, 1, 100),
    budgetMs: quick ? 200 : 500,
    location: values.location,
    jsonFile: values.json,
    quick,
    help: values.help ?? false,
  }
}

const subjectNames: readonly string[] = ['moraine', 'classic-level', 'slatedb']

function wholeNumber(option: string, text: string | undefined, preset: number, from: number, to: number): number {
  if (text === undefined) return preset
  const value = Number(text)
  if (!Number.isInteger(value) || value < from || value > to) {
    throw new UsageError(`${option} must be a whole number from ${from} to ${to}, not '${text}'`)
  }
  return value
}

function parse(args: readonly string[]): {
  only?: string[]
  subject?: string[]
  rows?: string
  rounds?: string
  location?: string
  json?: string
  quick?: boolean
  help?: boolean
} {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        subject: { type: 'string', multiple: true },
        rows: { type: 'string' },
        rounds: { type: 'string' },
        location: { type: 'string' },
        json: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    // parseArgs names the offending argument first; the rest of its advice is about its own API.
    throw new UsageError((error as Error).message.split('. ')[0] as string)
  }
}
