export type Alignment = 'left' | 'right'

/** Rows of cells as lines with aligned columns, two spaces between them. Columns without an alignment are to the left. */
export function renderTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  return rows.map((row) => renderRow(row, widths, alignments))
}

/** One row of a table whose columns have known widths: for tables that are too long to be held. */
export function renderRow(
  cells: readonly string[],
  widths: readonly number[],
  alignments: readonly Alignment[] = [],
): string {
  const padded = cells.map((cell, i) => {
    const width = widths[i] ?? 0
    return alignments[i] === 'right' ? cell.padStart(width) : cell.padEnd(width)
  })
  return padded.join('  ').trimEnd()
}
