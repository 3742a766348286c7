import { levelBytes, type Version } from 'moraine/inspect'
import { formatBytes, formatCount } from '../terminal/figures.ts'
import { type Alignment, renderTable } from '../terminal/text-table.ts'

const HEAD = ['LEVEL', 'TABLES', 'SIZE', 'ENTRIES', 'DELETES', 'RAW']
const ALIGNMENTS: readonly Alignment[] = HEAD.map(() => 'right')

/** A line for each level that holds tables, under a headline. */
export function levelRows(version: Version): string[] {
  const rows = version.levels.flatMap((files, level) => {
    if (files.length === 0) return []
    const sum = (of: (file: (typeof files)[number]) => number): number => files.reduce((total, file) => total + of(file), 0)
    return [
      [
        String(level),
        formatCount(files.length),
        formatBytes(levelBytes(files)),
        formatCount(sum(({ entryCount }) => entryCount)),
        formatCount(sum(({ deletionCount }) => deletionCount)),
        formatBytes(sum(({ rawBytes }) => rawBytes)),
      ],
    ]
  })
  return renderTable([HEAD, ...rows], ALIGNMENTS)
}
