import type { TableSource } from '../source/table-object.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount } from '../terminal/figures.ts'
import { ProgressBar } from '../terminal/progress-bar.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { checkTable } from './check-table.ts'
import type { SstDumpOptions } from './options.ts'

/** Reads and verifies every table. Exit code 1 when any of them has a problem. */
export async function check(source: TableSource, { json }: SstDumpOptions, terminal: Terminal): Promise<ExitCode> {
  const { output, remarks, clock } = terminal
  const totalBytes = source.tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const progress = new ProgressBar('Checking', totalBytes, remarks, clock)
  const checked: object[] = []
  const total = { tables: 0, damaged: 0, sizeBytes: totalBytes, blocks: 0, entries: 0 }
  for (const { name, label, sizeBytes, ...table } of source.tables) {
    const verdict = await checkTable({ name, label, sizeBytes, ...table }, (bytes) => progress.add(bytes))
    const { problems, blockCount, entryCount } = verdict
    total.tables++
    total.blocks += blockCount
    total.entries += entryCount
    if (problems.length > 0) total.damaged++
    if (json) {
      checked.push({ table: label, ok: problems.length === 0, sizeBytes, blocks: blockCount, entries: entryCount, problems })
      continue
    }
    // Results come as they are found: the rest may take minutes.
    progress.clear()
    const figures = `${counted(blockCount, 'block')}, ${counted(entryCount, 'entry', 'entries')}, ${formatBytes(sizeBytes)}`
    await output.line(problems.length === 0 ? `ok       ${label}  ${figures}` : `DAMAGED  ${name}`)
    for (const { offset, problem } of problems) {
      await output.line(`         ${offset === undefined ? '' : `at byte ${offset}: `}${problem}`)
    }
    await output.flush()
  }
  progress.clear()
  const found = `${counted(total.entries, 'entry', 'entries')} in ${counted(total.blocks, 'block')}, ${formatBytes(totalBytes)}`
  const verdict = total.damaged === 0 ? 'no problems' : `${formatCount(total.damaged)} damaged`
  if (json) await output.line(JSON.stringify({ ok: total.damaged === 0, tables: checked, total }, undefined, 2))
  else if (!source.single) await output.line(`${counted(total.tables, 'table')}: ${verdict}; ${found}`)
  return total.damaged === 0 ? ExitCode.ok : ExitCode.problem
}
