import { hostname } from 'node:os'
import { systemClock, systemRandom } from '@moraine/base'
import { takeOutsideCheckpoint } from 'moraine/inspect'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { formatCount } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { UsageError } from '../terminal/usage-error.ts'
import { onDatabase } from './on-database.ts'

const HELP = `moraine checkpoint <database> [--name=NAME] [--metadata=JSON] [--json]

Keeps the newest state that is in the store as a checkpoint, to be opened, cloned or compared later. Works beside a running
writer, which is not asked and not disturbed: what it has not flushed yet is not part of it. Delete the checkpoint with
moraine checkpoints --delete when it is not needed any more: it never expires by itself.

  --name=NAME      a name of 1 to 200 characters that no other checkpoint of the database has
  --metadata=JSON  any JSON value, kept with the checkpoint
  --json           for programs: one document
`

export async function checkpoint(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    name: { type: 'string' },
    metadata: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  const { name } = values
  if (name !== undefined && (name.length === 0 || name.length > 200)) throw new UsageError('--name takes 1 to 200 characters')
  const metadata = metadataText(values.metadata)
  return await onDatabase('checkpoint', positionals, async ({ database }) => {
    const taken = await takeOutsideCheckpoint(database, {
      name,
      metadata,
      holder: `moraine checkpoint, process ${process.pid} on ${hostname()}`,
      clock: systemClock,
      random: systemRandom,
    })
    const shown = { id: taken.id, name: name ?? null, manifestId: taken.manifestId }
    await output.line(values.json === true ? JSON.stringify(shown) : `Checkpoint ${taken.id} of manifest ${formatCount(taken.manifestId)}`)
    return ExitCode.ok
  })
}

function metadataText(given: string | undefined): string {
  if (given === undefined) return 'null'
  try {
    return JSON.stringify(JSON.parse(given))
  } catch {
    throw new UsageError('--metadata takes a JSON value')
  }
}
