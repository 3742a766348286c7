import { open, WriteBatch } from 'moraine'
import type { Figures, FigureSpec, MeasureContext, Workload } from './workload.ts'

const BATCH = 100

const SIZES: readonly { readonly label: string; readonly keys: number }[] = [
  { label: '1k', keys: 1_000 },
  { label: '100k', keys: 100_000 },
  { label: '1M', keys: 1_000_000 },
]

/**
 * One call that deletes all keys but the first and the last, by their number: the call, a scan of what is left, and how long
 * it takes until the tables are gone by themselves. A short run deletes 200,000 keys at most.
 */
export const rangeDelete: Workload = {
  name: 'range-delete',
  figures: SIZES.flatMap(({ label }): FigureSpec[] => [
    { name: `range delete of ${label} keys`, unit: 'ms', better: 'less', target: 'flat' },
    { name: `scan after it, ${label} keys`, unit: 'ms', better: 'less', target: 'flat' },
    { name: `flush and space back, ${label} keys`, unit: 'ms', better: 'less', target: 'flat' },
    { name: `bytes left of ${label} keys`, unit: 'bytes', better: 'less', target: '' },
  ]),
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const most = context.budgetMs < 500 ? 200_000 : Number.POSITIVE_INFINITY
    const figures: Record<string, number> = {}
    for (const { label, keys } of SIZES) {
      const count = Math.min(keys, most)
      const db = await open(context.freshSettings().location, { wal: 'none', targetFileSizeBytes: 1024 * 1024 })
      for (let i = 0; i < count; i += BATCH) {
        const batch = new WriteBatch()
        for (let k = i; k < i + BATCH; k++) batch.put(numberedKey(k), context.dataset.value(k))
        await db.write(batch)
      }
      await db.compact()
      const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
        const startMs = context.nowMs()
        await work()
        figures[name] = context.nowMs() - startMs
      }
      await timed(`range delete of ${label} keys`, () => db.deleteRange({ gte: numberedKey(1), lt: numberedKey(count - 1) }))
      await timed(`scan after it, ${label} keys`, async () => {
        let left = 0
        for await (const entries of db.scanBatches()) left += entries.length
        if (left !== 2) throw new Error(`${left} keys are left, not 2`)
      })
      await timed(`flush and space back, ${label} keys`, async () => {
        // Small trees have no table that is covered as a whole.
        const compacted = keys < 100_000 ? Promise.resolve() : new Promise<void>((resolve) => void db.on('compaction', () => resolve()))
        await db.flush()
        await compacted
      })
      figures[`bytes left of ${label} keys`] = db.stats().levels.reduce((bytes, level) => bytes + level.sizeBytes, 0)
      await db.close()
    }
    return figures
  },
}

function numberedKey(n: number): string {
  return `key-${String(n).padStart(12, '0')}`
}
