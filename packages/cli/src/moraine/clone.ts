import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { clone as cloneDatabase, type CloneReport, isMoraineError } from 'moraine'
import { databaseUrl, isUrl, storeAt } from '../source/store-location.ts'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { UsageError } from '../terminal/usage-error.ts'
import { parseKey } from '../text/bytes-notation.ts'

const HELP = `moraine clone <source> [<source>...] <target> [--checkpoint=NAME] [--from=KEY] [--to=KEY] [--json]

Makes a new database out of one, or out of several whose keys do not overlap. Nothing is copied: the new one refers to
the tables of its sources, which keep them until it has rewritten them (detach does that at once). The sources may be
running: the clone has what they have flushed. The target must be an empty location; a clone that was cut off is finished
by the same command.

  --checkpoint=NAME   the state of a checkpoint, by name or id, instead of the newest (one source only)
  --from=KEY          only keys from this one on (one source only); text with \\xNN for any byte, or 0x... with --hex
  --to=KEY            only keys before this one (one source only)
  --hex               keys may be 0x...
  --json              for programs
`

/** Clones, splits or unites databases. */
export async function clone(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    checkpoint: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    hex: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  const [target, ...reversed] = positionals.toReversed()
  if (target === undefined || reversed.length === 0) throw new UsageError('clone takes one or more sources and then the target')
  const key = (option: 'from' | 'to'): Uint8Array | undefined => keyOption(values[option], option, values.hex === true)
  const [gte, lt] = [key('from'), key('to')]
  const { checkpoint } = values
  const restricted = checkpoint !== undefined || gte !== undefined || lt !== undefined
  if (reversed.length > 1 && restricted) {
    throw new UsageError('--checkpoint, --from and --to go with one source; clone the parts first, and then unite the clones')
  }
  const sources = reversed.toReversed().map(databaseUrl)
  const goal = isUrl(target) ? target : pathToFileURL(resolve(target)).href
  // A URL that names no store is a wrong command line.
  for (const url of [...sources, goal]) await storeAt(url).store.close()
  const options = {
    ...(checkpoint !== undefined && { checkpoint }),
    ...((gte !== undefined || lt !== undefined) && { range: { ...(gte !== undefined && { gte }), ...(lt !== undefined && { lt }) } }),
  }
  const [only] = sources
  const report = await cloneDatabase(sources.length === 1 && only !== undefined ? only : sources, goal, options)
  if (values.json === true) await output.line(JSON.stringify(report, undefined, 2))
  else for (const line of reportLines(report, goal)) await output.line(line)
  return ExitCode.ok
}

function keyOption(text: string | undefined, option: string, hex: boolean): Uint8Array | undefined {
  if (text === undefined) return undefined
  try {
    const key = parseKey(text, hex ? 'hex' : 'text')
    if (key !== undefined) return key
  } catch (error) {
    if (!isMoraineError(error, 'INVALID')) throw error
  }
  throw new UsageError(`--${option} takes a key: text with \\xNN for any byte and \\\\ for a backslash, or 0x... with --hex; not '${text}'`)
}

function* reportLines({ databaseId, tables, sizeBytes, origins }: CloneReport, target: string): Generator<string> {
  yield `Database ${databaseId} at ${target}`
  yield tables === 0 ? 'It is empty' : `It refers to ${counted(tables, 'table')} (${formatBytes(sizeBytes)}) and copied none`
  for (const { databaseId: origin, place, manifestId } of origins) {
    yield `Pinned: manifest ${manifestId} of database ${origin} (${place.kind === 'url' ? place.url : `prefix '${place.prefix}'`})`
  }
}
