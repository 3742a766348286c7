import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatCount, formatSize } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { renderTable } from '../terminal/text-table.ts'
import { openLog } from './open-log.ts'
import type { MoraineOptions } from './options.ts'

/** Says whose log a folder holds and which writes can be read from it. Exit code 1 when it is damaged. */
export async function walSurvey({ target, json, after }: MoraineOptions, { output }: Terminal): Promise<ExitCode> {
  const { log, segments, start } = await openLog(target)
  const survey = await log.survey(Math.max(start, after ?? 0))
  const code = survey.damage === undefined ? ExitCode.ok : ExitCode.problem
  if (json) {
    const { folder, databaseId, walId } = log
    await output.line(JSON.stringify({ folder, databaseId, walId, ...survey }, undefined, 2))
    return code
  }
  const epochs = [...new Set(segments.map(({ epoch }) => epoch))]
  const range = survey.firstSeq === undefined ? '' : `, sequence ${formatCount(survey.firstSeq)} to ${formatCount(survey.lastSeq ?? 0)}`
  const rows = [
    ['folder', log.folder],
    ['database', log.databaseId],
    ['log', log.walId],
    ['segments', `${formatCount(survey.segments)}, ${formatSize(survey.sizeBytes)}${epochs.length > 0 ? `, of epoch ${epochs.join(', ')}` : ''}`],
    ['writes', `${counted(survey.writes, 'write')}${after === undefined ? '' : ` above ${formatCount(after)}`}${range}`],
  ]
  if (survey.damage !== undefined) rows.push(['DAMAGED', survey.damage])
  for (const line of renderTable(rows)) await output.line(line)
  return code
}
