/** Figures for people. */

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Decimal units, as storage is sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(2)} GB`
}

export function formatMs(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(1)} µs`
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

export function formatDollars(dollars: number): string {
  if (dollars === 0) return '$0'
  return dollars < 0.01 ? `$${dollars.toFixed(6)}` : `$${dollars.toFixed(4)}`
}

/** Rows of cells in columns: the first column to the left, the others (figures) to the right. */
export function formatTable(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  return rows
    .map((row) => indent + row.map((cell, i) => pad(cell, widths[i] as number, i > 0)).join('  ').trimEnd())
    .join('\n')
}

function pad(cell: string, width: number, rightAligned: boolean): string {
  return rightAligned ? cell.padStart(width) : cell.padEnd(width)
}
