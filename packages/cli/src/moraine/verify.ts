import { type VerifiedState, verify as verifyDatabase, type VerifyReport } from 'moraine'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes } from '../terminal/figures.ts'
import { ProgressBar } from '../terminal/progress-bar.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { onDatabase } from './on-database.ts'

const HELP = `moraine verify <database> [--deep] [--orphans] [--json]

Checks that every file which the newest state, the checkpoints and the pins of a database need is there, has the right
size and sound metadata. Says which keys a missing or damaged file holds, and which checkpoints are whole without it.

  --deep       read and check every block of every table, also the filters, and every value in blob files;
               reads everything once
  --orphans    list files that nothing needs (moraine gc deletes them)
  --json       for programs: one document

Exit code 1 when something is missing or damaged.
`

export async function verify(args: readonly string[], { output, remarks, clock }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    deep: { type: 'boolean' },
    orphans: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  return await onDatabase('verify', positionals, async (location) => {
    let bar: ProgressBar | undefined
    let shownBytes = 0
    const report = await verifyDatabase(location, {
      deep: values.deep ?? false,
      orphans: values.orphans ?? false,
      onProgress: ({ totalBytes, readBytes }) => {
        bar ??= new ProgressBar('verifying', totalBytes, remarks, clock)
        bar.add(readBytes - shownBytes)
        shownBytes = readBytes
      },
    })
    bar?.clear()
    if (values.json === true) await output.line(JSON.stringify(report, undefined, 2))
    else for (const line of reportText(report)) await output.line(line)
    return report.problems.length === 0 ? ExitCode.ok : ExitCode.problem
  })
}

function reportText({ problems, states, tables, blobs, sizeBytes, deep, orphans }: VerifyReport): string[] {
  const lines = [
    `${counted(tables, 'table')}${blobs === 0 ? '' : ` and ${counted(blobs, 'blob file')}`}, ${formatBytes(sizeBytes)}: ${deep ? 'every block' : 'existence, size and metadata'} checked`,
    ...problems.map(({ message, neededBy }) => `PROBLEM ${message}; needed by manifest ${neededBy.join(', ')}`),
    ...states.map((state) => `${state.whole ? 'whole  ' : 'DAMAGED'}  ${stateName(state)}`),
  ]
  if (orphans !== undefined) {
    const bytes = orphans.reduce((sum, orphan) => sum + orphan.sizeBytes, 0)
    lines.push(`${counted(orphans.length, 'file')} that nothing needs, ${formatBytes(bytes)}`)
    lines.push(...orphans.map((orphan) => `  ${orphan.name}  ${formatBytes(orphan.sizeBytes)}`))
  }
  return lines
}

function stateName({ what, manifestId, checkpointId, name }: VerifiedState): string {
  if (what === 'newest') return `the newest state (manifest ${manifestId})`
  if (what === 'pin') return `the state of a pin (manifest ${manifestId})`
  return `checkpoint ${name === undefined ? (checkpointId ?? '') : `${name} (${checkpointId ?? ''})`}, manifest ${manifestId}`
}
