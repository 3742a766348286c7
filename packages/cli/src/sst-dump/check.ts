import type { TableSource } from '../source/table-object.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount } from '../terminal/figures.ts'
import { ProgressBar } from '../terminal/progress-bar.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { checkTable } from './check-table.ts'
import { headline } from './finding.ts'
import type { SstDumpOptions } from './options.ts'

/** Reads and verifies every table. Exit code 1 when any of them has a problem. */
export async function check(source: TableSource, { json }: SstDumpOptions, terminal: Terminal): Promise<ExitCode> {
  const { output, remarks, clock } = terminal
  const totalBytes = source.tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const progress = new ProgressBar('Checking', totalBytes, remarks, clock)
  const checked: object[] = []
  const total = { tables: 0, damaged: 0, unreadable: 0, sizeBytes: totalBytes, blocks: 0, entries: 0 }
  for (const table of source.tables) {
    const { name, label, sizeBytes } = table
    const { problems, blockCount, entryCount } = await checkTable(table, (bytes) => progress.add(bytes))
    total.tables++
    total.blocks += blockCount
    total.entries += entryCount
    const worst = problems.find(({ verdict: found }) => found === 'damaged') ?? problems[0]
    if (worst !== undefined) total[worst.verdict]++
    if (json) {
      checked.push({ table: label, ok: problems.length === 0, sizeBytes, blocks: blockCount, entries: entryCount, problems })
      continue
    }
    // Results come as they are found: the rest may take minutes.
    progress.clear()
    const figures = `${counted(blockCount, 'block')}, ${counted(entryCount, 'entry', 'entries')}, ${formatBytes(sizeBytes)}`
    await output.line(worst === undefined ? `ok  ${label}  ${figures}` : `${headline(worst.verdict)}  ${name}`)
    for (const { offset, problem } of problems) {
      await output.line(`    ${offset === undefined ? '' : `at byte ${offset}: `}${problem}`)
    }
    await output.flush()
  }
  progress.clear()
  const found = `${counted(total.entries, 'entry', 'entries')} in ${counted(total.blocks, 'block')}, ${formatBytes(totalBytes)}`
  const ok = total.damaged + total.unreadable === 0
  const unreadable = total.unreadable === 0 ? '' : `, ${formatCount(total.unreadable)} unreadable`
  const summary = ok ? 'no problems' : `${formatCount(total.damaged)} damaged${unreadable}`
  if (json) await output.line(JSON.stringify({ ok, tables: checked, total }, undefined, 2))
  else if (!source.single) await output.line(`${counted(total.tables, 'table')}: ${summary}; ${found}`)
  return ok ? ExitCode.ok : ExitCode.problem
}
