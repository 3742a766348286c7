import { destroy as destroyDatabase } from 'moraine'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { UsageError } from '../terminal/usage-error.ts'
import { onDatabase } from './on-database.ts'

const HELP = `moraine destroy <database> --yes [--force]

Deletes a database and everything of it; what else the location holds stays. Refused while clones or readers use it, or
while its owner has not closed it. Interrupted, it cannot be opened any more: run it again.

  --yes        do it
  --force      although somebody uses it: what they read will be missing
`

export async function destroy(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    yes: { type: 'boolean' },
    force: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  return await onDatabase('destroy', positionals, async (location, url) => {
    if (values.yes !== true) throw new UsageError(`this deletes the database at ${url}; say --yes to do it`)
    const { deletedObjects, left } = await destroyDatabase(location, { force: values.force ?? false })
    await output.line(`Deleted ${counted(deletedObjects, 'object')}`)
    for (const name of left) await output.line(`Not Moraine's, left alone: ${name}`)
    return ExitCode.ok
  })
}
