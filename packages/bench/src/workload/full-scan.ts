import type { Figures, MeasureContext, Workload } from './workload.ts'

/** A walk over the whole database in key order, entry by entry and in batches. */
export const entryScan: Workload = {
  name: 'entry-scan',
  figures: [
    {
      name: 'full scan, entry by entry',
      unit: 'per-second',
      better: 'more',
      target: '>= 5x classic-level, >= 40x slatedb',
    },
  ],
  needs: 'tables',
  async measure(context: MeasureContext): Promise<Figures> {
    const scan = countWithinBudget(context)
    while (!scan.over()) await context.database.scanEntries(() => scan.add(1))
    return { 'full scan, entry by entry': scan.rate() }
  },
}

export const batchScan: Workload = {
  name: 'batch-scan',
  figures: [{ name: 'full scan, in batches', unit: 'per-second', better: 'more', target: '>= 1,500,000/s' }],
  needs: 'tables',
  async measure(context: MeasureContext): Promise<Figures> {
    if (context.database.scanBatches === undefined) return {}
    const scan = countWithinBudget(context)
    while (!scan.over()) await context.database.scanBatches((count) => scan.add(count))
    return { 'full scan, in batches': scan.rate() }
  },
}

/** Counts entries until the budget is used; a scan that ends earlier is begun again. */
function countWithinBudget(context: MeasureContext): {
  add(count: number): boolean
  over(): boolean
  rate(): number
} {
  const startMs = context.nowMs()
  let entries = 0
  let uncounted = 0
  let elapsedMs = 0
  const over = (): boolean => {
    elapsedMs = context.nowMs() - startMs
    return elapsedMs >= context.budgetMs
  }
  return {
    add(count: number): boolean {
      entries += count
      uncounted += count
      if (uncounted < 256) return true
      uncounted = 0
      return !over()
    },
    over,
    rate: () => (entries / elapsedMs) * 1000,
  }
}
