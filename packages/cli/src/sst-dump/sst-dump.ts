import { packageVersion } from '../package-version.ts'
import { findTables } from '../source/find-tables.ts'
import type { TableSource } from '../source/table-object.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { blocks } from './blocks.ts'
import { check } from './check.ts'
import { sstDumpHelp } from './help.ts'
import { parseSstDumpOptions, type SstDumpCommand, type SstDumpOptions } from './options.ts'
import { properties } from './properties.ts'
import { raw } from './raw.ts'
import { scan } from './scan.ts'

type Command = (source: TableSource, options: SstDumpOptions, terminal: Terminal) => Promise<ExitCode>

const commands: Readonly<Record<SstDumpCommand, Command>> = { properties, scan, check, raw, blocks }

/** The program `sst-dump`. */
export async function sstDump(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const options = parseSstDumpOptions(args)
  if (typeof options === 'string') {
    await terminal.output.line(options === 'help' ? sstDumpHelp.trimEnd() : packageVersion())
    return ExitCode.ok
  }
  await using source = await findTables(options.names)
  return await commands[options.command](source, options, terminal)
}
