import { packageVersion } from '../package-version.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import type { Program } from '../terminal/run-program.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { blobs } from './blobs.ts'
import { checkpoint } from './checkpoint.ts'
import { checkpoints } from './checkpoints.ts'
import { clone } from './clone.ts'
import { compactor } from './compactor.ts'
import { destroy } from './destroy.ts'
import { gc } from './gc.ts'
import { moraineHelp } from './help.ts'
import { manifest } from './manifest.ts'
import { type MoraineCommand, type MoraineOptions, parseMoraineOptions } from './options.ts'
import { simulateCompactionCommand } from './simulation/simulate-compaction.ts'
import { tree } from './tree.ts'
import { verify } from './verify.ts'
import { walExport } from './wal-export.ts'
import { walSurvey } from './wal-survey.ts'

type Command = (options: MoraineOptions, terminal: Terminal) => Promise<ExitCode>

const commands: Readonly<Record<MoraineCommand, Command>> = {
  manifest,
  tree,
  'wal survey': walSurvey,
  'wal export': walExport,
}

/** Commands with options, and a help text, of their own. */
const independentCommands: ReadonlyMap<string, Program> = new Map([
  ['blobs', blobs],
  ['checkpoint', checkpoint],
  ['checkpoints', checkpoints],
  ['gc', gc],
  ['verify', verify],
  ['clone', clone],
  ['compactor', compactor],
  ['destroy', destroy],
  ['simulate-compaction', simulateCompactionCommand],
])

/** The program `moraine`. */
export async function moraine(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const independent = independentCommands.get(args[0] ?? '')
  if (independent !== undefined) return await independent(args.slice(1), terminal)
  const options = parseMoraineOptions(args)
  if (typeof options === 'string') {
    await terminal.output.line(options === 'help' ? moraineHelp.trimEnd() : packageVersion())
    return ExitCode.ok
  }
  return await commands[options.command](options, terminal)
}
