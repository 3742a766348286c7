import type { BytesNotation } from '../text/bytes-notation.ts'
import { parseCommandLine, wholeNumber } from '../terminal/command-line.ts'
import { UsageError } from '../terminal/usage-error.ts'

/** The commands by name; a database or folder follows each. */
export const COMMANDS = ['manifest', 'tree', 'wal survey', 'wal export'] as const
export type MoraineCommand = (typeof COMMANDS)[number]

export interface MoraineOptions {
  readonly command: MoraineCommand
  /** The database or folder. */
  readonly target: string
  readonly notation: BytesNotation
  readonly json: boolean
  /** Writes up to this sequence number are left out; undefined for all that there are. */
  readonly after: number | undefined
}

const ONLY_FOR: Readonly<Record<string, readonly MoraineCommand[]>> = {
  after: ['wal survey', 'wal export'],
  base64: ['wal export'],
  hex: ['manifest', 'tree', 'wal export'],
}

/** The options of a command line, or which text to print instead. */
export function parseMoraineOptions(args: readonly string[]): MoraineOptions | 'help' | 'version' {
  const { values, positionals } = parseCommandLine(args, {
    json: { type: 'boolean' },
    hex: { type: 'boolean' },
    base64: { type: 'boolean' },
    after: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  } as const)
  if (values.help === true || (positionals.length === 1 && positionals[0] === 'help')) return 'help'
  if (values.version === true) return 'version'
  const command = commandOf(positionals)
  const targets = positionals.slice(command.split(' ').length)
  const [target] = targets
  if (target === undefined || targets.length > 1) {
    throw new UsageError(`${command} takes one ${command.startsWith('wal') ? 'log folder' : 'database (a URL or a folder)'}`)
  }
  for (const [option, commands] of Object.entries(ONLY_FOR)) {
    if (Object.hasOwn(values, option) && !commands.includes(command)) {
      throw new UsageError(`--${option} does nothing for ${command}; it goes with ${commands.join(', ')}`)
    }
  }
  if (values.hex === true && values.base64 === true) throw new UsageError('--hex or --base64, not both')
  const notation = values.hex === true ? 'hex' : values.base64 === true ? 'base64' : 'text'
  return { command, target, notation, json: values.json ?? false, after: wholeNumber(values.after, 'after', 0) }
}

function commandOf(positionals: readonly string[]): MoraineCommand {
  const command = COMMANDS.find((name) => name.split(' ').every((word, i) => positionals[i] === word))
  if (command !== undefined) return command
  const [given] = positionals
  if (given === undefined) throw new UsageError('which command?')
  if (given === 'wal') throw new UsageError('wal what? There are wal survey and wal export')
  throw new UsageError(`there is no command '${given}'`)
}
