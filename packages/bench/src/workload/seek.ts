import { measureRate } from './measure-rate.ts'
import { readOrder } from './read-order.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** A scan that starts at a random key and takes ten entries. */
export const seekAndTake: Workload = {
  name: 'seek',
  figures: [{ name: 'seek and 10 entries', unit: 'per-second', better: 'more', target: '' }],
  needs: 'tables',
  async measure(context: MeasureContext): Promise<Figures> {
    const keys = readOrder(context, (i) => context.dataset.key(i))
    const rate = await measureRate(context, async (i) => {
      let left = 10
      await context.database.scanEntries(() => --left > 0, keys[i % keys.length])
    })
    return { 'seek and 10 entries': rate }
  },
}
