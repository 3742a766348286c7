import { packageVersion } from '../package-version.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { moraineHelp } from './help.ts'
import { manifest } from './manifest.ts'
import { type MoraineCommand, type MoraineOptions, parseMoraineOptions } from './options.ts'
import { simulateCompactionCommand } from './simulation/simulate-compaction.ts'
import { tree } from './tree.ts'
import { walExport } from './wal-export.ts'
import { walSurvey } from './wal-survey.ts'

type Command = (options: MoraineOptions, terminal: Terminal) => Promise<ExitCode>

const commands: Readonly<Record<MoraineCommand, Command>> = {
  manifest,
  tree,
  'wal survey': walSurvey,
  'wal export': walExport,
}

/** The program `moraine`. */
export async function moraine(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  // The one command that looks at no database, with options of its own.
  if (args[0] === 'simulate-compaction') return await simulateCompactionCommand(args.slice(1), terminal)
  const options = parseMoraineOptions(args)
  if (typeof options === 'string') {
    await terminal.output.line(options === 'help' ? moraineHelp.trimEnd() : packageVersion())
    return ExitCode.ok
  }
  return await commands[options.command](options, terminal)
}
