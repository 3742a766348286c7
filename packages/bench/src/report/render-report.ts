import type { Outcome } from '../run-workloads.ts'
import type { MissingSubject, Subject } from '../subject/subject.ts'
import type { FigureSpec, Workload } from '../workload/workload.ts'
import { formatFigure, formatRatio } from './format-figure.ts'

/** The report as text: one row a figure, one column a subject, ratios of the first subject to the others, targets. */
export function renderReport(
  workloads: readonly Workload[],
  subjects: readonly (Subject | MissingSubject)[],
  outcomes: readonly Outcome[],
): string {
  const [ours, ...peers] = subjects
  if (ours === undefined) return 'nothing was measured\n'
  const header = ['', ...subjects.map((s) => s.name), ...peers.map((peer) => `vs ${peer.name}`), 'target']
  const rows = workloads.flatMap((workload) =>
    workload.figures.map((figure) => {
      const values = subjects.map((subject) => valueOf(outcomes, workload, figure, subject.name))
      const ratios = values.slice(1).map((value) => {
        const own = values[0]
        return own === undefined || value === undefined ? '' : formatRatio(own, value, figure.better)
      })
      const cells = subjects.map((subject, i) => cell(outcomes, workload, figure, subject, values[i]))
      return [figure.name, ...cells, ...ratios, figure.target]
    }),
  )
  return `${layout([header, ...rows])}\n${notes(subjects, outcomes)}`
}

function valueOf(
  outcomes: readonly Outcome[],
  workload: Workload,
  figure: FigureSpec,
  subject: string,
): number | undefined {
  return outcomes.find((o) => o.workload === workload && o.subject === subject)?.figures?.[figure.name]
}

function cell(
  outcomes: readonly Outcome[],
  workload: Workload,
  figure: FigureSpec,
  subject: Subject | MissingSubject,
  value: number | undefined,
): string {
  if (value !== undefined) return formatFigure(value, figure.unit)
  if ('missing' in subject) return 'absent'
  const outcome = outcomes.find((o) => o.workload === workload && o.subject === subject.name)
  return outcome?.failure === undefined ? '-' : 'failed'
}

function notes(subjects: readonly (Subject | MissingSubject)[], outcomes: readonly Outcome[]): string {
  const lines: string[] = []
  for (const subject of subjects) {
    if ('missing' in subject) lines.push(`${subject.name} is absent: ${subject.missing}`)
  }
  for (const { workload, subject, failure } of outcomes) {
    if (failure !== undefined) lines.push(`${workload.name} failed on ${subject}: ${failure}`)
  }
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`
}

function layout(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((text, i) => (widths[i] = Math.max(widths[i] ?? 0, text.length)))
  const last = widths.length - 1
  const line = (row: readonly string[]): string =>
    row
      // Names and targets read from the left, figures from the right.
      .map((text, i) => (i === 0 || i === last ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number)))
      .join('  ')
      .trimEnd()
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n')
}
