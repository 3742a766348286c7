import { parseArgs } from 'node:util'
import { flightsInSource } from './source.ts'

export interface QuickstartOptions {
  /** URL of the database; undefined for the default folder. */
  readonly location: string | undefined
  readonly rows: number
  readonly keep: boolean
  readonly newPrefix: boolean
  readonly json: boolean
  readonly help: boolean
}

/** A wrong command line; the message is for the person who typed it. */
export class UsageError extends Error {}

export const usage: string = `Usage: npm run quickstart [-- options]

Loads three million real flights into a Moraine database, looks around in it, and proves that a new process with an
empty disk reads back exactly what the source holds.

  --location <url>   where the database lives: file:///folder, s3://bucket/prefix or
                     s3://bucket/prefix?endpoint=http://127.0.0.1:9000 (credentials and region as the AWS SDK finds
                     them). Must not hold a database yet. Default: the folder .cache/quickstart of this checkout,
                     which is emptied first and removed at the end
  --new-prefix       put the database under a new prefix of its own below --location
  --rows <n>         load the first n flights only (1 to ${flightsInSource.toLocaleString('en-US')}; default: all)
  --keep             leave the default folder in place at the end (a --location is always left in place)
  --json             print one JSON object with all figures instead of the report
  --help             print this`

export function parseQuickstartOptions(args: readonly string[]): QuickstartOptions {
  const values = parse(args)
  const rows = values.rows === undefined ? flightsInSource : Number(values.rows)
  if (!Number.isInteger(rows) || rows < 1 || rows > flightsInSource) {
    throw new UsageError(`--rows must be a whole number from 1 to ${flightsInSource}, not '${values.rows}'`)
  }
  const { location } = values
  if (location !== undefined && !/^(file|s3):\/\//.test(location)) {
    throw new UsageError(`--location must start with file:// or s3://, not '${location}' (the proof needs a second process)`)
  }
  if (values['new-prefix'] && location === undefined) {
    throw new UsageError('--new-prefix goes with --location: the default folder is emptied anyway')
  }
  return {
    location,
    rows,
    keep: values.keep ?? false,
    newPrefix: values['new-prefix'] ?? false,
    json: values.json ?? false,
    help: values.help ?? false,
  }
}

function parse(args: readonly string[]): {
  location?: string
  rows?: string
  keep?: boolean
  'new-prefix'?: boolean
  json?: boolean
  help?: boolean
} {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        location: { type: 'string' },
        rows: { type: 'string' },
        keep: { type: 'boolean' },
        'new-prefix': { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    // parseArgs names the offending argument; the rest of its advice is about its own API.
    throw new UsageError((error as Error).message.split('. ')[0] as string)
  }
}
