import type { FigureSpec } from '../workload/workload.ts'

export function formatFigure(value: number, unit: FigureSpec['unit']): string {
  switch (unit) {
    case 'per-second':
      return `${roundTo3(value).toLocaleString('en-US')}/s`
    case 'ms':
      return `${significant(value)} ms`
    case 'factor':
      return `${value.toFixed(2)}x`
    case 'count':
      return roundTo3(value).toLocaleString('en-US')
    case 'dollars':
      return `$${value.toPrecision(2)}`
    case 'bytes':
      return `${Math.round(value / 1e6)} MB`
  }
}

/** How many times better the first is: 4.2x is better by that, 0.5x is half as good. */
export function formatRatio(ours: number, theirs: number, better: FigureSpec['better']): string {
  const ratio = better === 'more' ? ours / theirs : theirs / ours
  if (!Number.isFinite(ratio)) return ''
  return `${ratio >= 100 ? Math.round(ratio) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}x`
}

/** Three digits are more than a shared machine can promise. */
function roundTo3(value: number): number {
  return value < 1000 ? Math.round(value * 10) / 10 : Number(value.toPrecision(3))
}

function significant(value: number): string {
  if (value >= 100) return value.toFixed(0)
  if (value >= 1) return value.toFixed(1)
  return value.toPrecision(2)
}
