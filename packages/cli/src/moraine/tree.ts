import { sstName, type TableFile } from 'moraine/inspect'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { type Alignment, renderTable } from '../terminal/text-table.ts'
import { abbreviated, type BytesNotation } from '../text/bytes-notation.ts'
import { tableFileJson } from './manifest-json.ts'
import { newestManifest } from './newest-manifest.ts'
import type { MoraineOptions } from './options.ts'

const HEAD = ['TABLE', 'SIZE', 'BLOBS', 'ENTRIES', 'DELETES', 'SEQUENCE', 'SMALLEST KEY', 'LARGEST KEY']
const ALIGNMENTS: readonly Alignment[] = ['left', 'right', 'right', 'right', 'right', 'left', 'left', 'left']
const SHOWN_KEY_BYTES = 40

/** Prints the tables of every level as the newest manifest lists them. */
export async function tree({ target, json, notation }: MoraineOptions, { output }: Terminal): Promise<ExitCode> {
  const { id, version } = await newestManifest(target)
  const levels = version.levels.map((files, level) => ({ level, files })).filter(({ files }) => files.length > 0)
  if (json) {
    const listed = levels.map(({ level, files }) => ({ level, files: files.map((file) => tableFileJson(file, notation)) }))
    await output.line(JSON.stringify({ manifest: id, levels: listed }, undefined, 2))
    return ExitCode.ok
  }
  if (levels.length === 0) await output.line('no tables: nothing has been flushed')
  const rows = renderTable([HEAD, ...levels.flatMap(({ files }) => files.map((file) => row(file, notation)))], ALIGNMENTS)
  const [head = '', ...lines] = rows
  for (const { level, files } of levels) {
    const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const order = level === 0 ? ', newest first, may overlap' : ''
    await output.line(`${level === 0 || levels[0]?.level === level ? '' : '\n'}Level ${level}: ${counted(files.length, 'table')}, ${formatBytes(bytes)}${order}`)
    await output.line(`  ${head}`)
    for (const line of lines.splice(0, files.length)) await output.line(`  ${line}`)
  }
  return ExitCode.ok
}

function row(file: TableFile, notation: BytesNotation): string[] {
  const values = (file.blobs ?? []).reduce((bytes, { liveBytes }) => bytes + liveBytes, 0)
  // A borrowed table stands in the bucket tree of the database that wrote it.
  const borrowed = file.origin === undefined ? '' : ` of ${file.origin.databaseId}`
  return [
    `${sstName(file.id)}${borrowed}`,
    formatBytes(file.sizeBytes),
    values === 0 ? '' : formatBytes(values),
    formatCount(file.entryCount),
    formatCount(file.deletionCount),
    `${file.smallestSeq}..${file.largestSeq}`,
    abbreviated(file.smallestKey, notation, SHOWN_KEY_BYTES),
    abbreviated(file.largestKey, notation, SHOWN_KEY_BYTES),
  ]
}
