import { type BytesNotation, parseKey } from '../text/bytes-notation.ts'
import { parseCommandLine, wholeNumber } from '../terminal/command-line.ts'
import { UsageError } from '../terminal/usage-error.ts'

export const COMMANDS = ['properties', 'scan', 'check', 'raw', 'blocks'] as const
export type SstDumpCommand = (typeof COMMANDS)[number]

export interface SstDumpOptions {
  readonly command: SstDumpCommand
  /** Files, folders and URLs; at least one. */
  readonly names: readonly string[]
  readonly from: Uint8Array | undefined
  readonly to: Uint8Array | undefined
  readonly limit: number
  readonly reverse: boolean
  readonly notation: BytesNotation
  readonly json: boolean
}

/** Options that only some commands understand: a silent no-op would look like an answer. */
const ONLY_FOR: Readonly<Record<string, readonly SstDumpCommand[]>> = {
  from: ['scan', 'raw', 'blocks'],
  to: ['scan', 'raw', 'blocks'],
  limit: ['scan', 'raw', 'blocks'],
  reverse: ['scan'],
}

/** The options of a command line, or which text to print instead. */
export function parseSstDumpOptions(args: readonly string[]): SstDumpOptions | 'help' | 'version' {
  const { values, positionals } = parseCommandLine(args, {
    command: { type: 'string', short: 'c' },
    from: { type: 'string' },
    to: { type: 'string' },
    limit: { type: 'string' },
    reverse: { type: 'boolean' },
    hex: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  } as const)
  if (values.help === true) return 'help'
  if (values.version === true) return 'version'
  const command = values.command ?? 'properties'
  if (!isCommand(command)) throw new UsageError(`there is no command '${command}'; there are ${COMMANDS.join(', ')}`)
  for (const [option, commands] of Object.entries(ONLY_FOR)) {
    if (Object.hasOwn(values, option) && !commands.includes(command)) {
      throw new UsageError(`--${option} does nothing for ${command}; it goes with ${commands.join(', ')}`)
    }
  }
  if (positionals.length === 0) throw new UsageError('which table? Name a file, a folder or a URL')
  const notation: BytesNotation = values.hex === true ? 'hex' : 'text'
  return {
    command,
    names: positionals,
    from: keyOption(values.from, 'from', notation),
    to: keyOption(values.to, 'to', notation),
    limit: wholeNumber(values.limit, 'limit', 0) ?? Number.POSITIVE_INFINITY,
    reverse: values.reverse ?? false,
    notation,
    json: values.json ?? false,
  }
}

function isCommand(text: string): text is SstDumpCommand {
  return (COMMANDS as readonly string[]).includes(text)
}

function keyOption(text: string | undefined, option: string, notation: BytesNotation): Uint8Array | undefined {
  if (text === undefined) return undefined
  const key = parseKey(text, notation)
  if (key !== undefined) return key
  const expected = notation === 'hex' ? '0x and an even number of hexadecimal digits' : '\\xNN, \\\\ or \\\' behind a backslash'
  throw new UsageError(`--${option} ${text} is no key: it takes ${expected}`)
}
