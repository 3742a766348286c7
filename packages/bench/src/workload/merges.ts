import { counter, counterBytes, open } from 'moraine'
import { measureConcurrentRate, measureRate } from './measure-rate.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** So few counters that every one of them has many operands. */
const COUNTERS = 1_000

/** Bumps of counters, 64 in flight, then reads of their values: out of memory, and after a flush. */
export const merges: Workload = {
  name: 'merges',
  figures: [
    { name: 'counter merges, 64 in flight', unit: 'per-second', better: 'more', target: '' },
    { name: 'reads of merged counters in memory', unit: 'per-second', better: 'more', target: '' },
    { name: 'bump and read in turn', unit: 'per-second', better: 'more', target: '' },
    { name: 'reads of merged counters after a flush', unit: 'per-second', better: 'more', target: '' },
  ],
  needs: 'own',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const db = await open(context.freshSettings().location, { wal: 'none', mergeOperator: counter })
    const key = (i: number): Uint8Array => context.dataset.key((Math.imul(i, 7919) >>> 0) % COUNTERS)
    const one = counterBytes(1)
    const figures: Record<string, number> = {}
    figures['counter merges, 64 in flight'] = await measureConcurrentRate(context, 64, (i) => db.merge(key(i), one))
    figures['reads of merged counters in memory'] = await measureRate(context, (i) => db.get(key(i)))
    figures['bump and read in turn'] = await measureRate(context, async (i) => {
      await db.merge(key(i), one)
      await db.get(key(i))
    })
    await db.flush()
    for (let i = 0; i < COUNTERS; i++) await db.get(key(i))
    figures['reads of merged counters after a flush'] = await measureRate(context, (i) => db.get(key(i)))
    await db.close()
    return figures
  },
}
