import { measureRate } from './measure-rate.ts'
import { readOrder } from './read-order.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** Point reads of keys that are not there, in the midst of a flushed database with warm metadata. */
export const missingKeys: Workload = {
  name: 'missing-keys',
  figures: [
    { name: 'missing keys', unit: 'per-second', better: 'more', target: '>= 1,000,000/s' },
    { name: 'missing keys, requests', unit: 'count', better: 'less', target: '0' },
  ],
  needs: 'tables',
  async measure(context: MeasureContext): Promise<Figures> {
    const keys = readOrder(context, (i) => context.dataset.absentKey(i))
    const { database } = context
    const requestsBefore = database.traffic?.().requests
    const rate = await measureRate(context, async (i) => {
      if ((await database.get(keys[i % keys.length] as Uint8Array)) !== undefined) {
        throw new Error(`${context.subject.name} found a key that was never written`)
      }
    })
    const requests = (database.traffic?.().requests ?? 0) - (requestsBefore ?? 0)
    return { 'missing keys': rate, ...(requestsBefore === undefined ? {} : { 'missing keys, requests': requests }) }
  },
}
