import { measureConcurrentRate } from './measure-rate.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** Single puts of new keys, 64 in flight, nothing synced. */
export const singlePuts: Workload = {
  name: 'single-puts',
  figures: [
    {
      name: 'single puts, 64 in flight',
      unit: 'per-second',
      better: 'more',
      target: '>= 4x classic-level, >= 50x slatedb',
    },
  ],
  needs: 'empty',
  async measure(context: MeasureContext): Promise<Figures> {
    const { database, dataset } = context
    const rate = await measureConcurrentRate(context, 64, (i) => database.put(dataset.key(i), dataset.value(i)))
    return { 'single puts, 64 in flight': rate }
  },
}
