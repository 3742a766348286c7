import type { Entry } from '../subject/subject.ts'
import { measureRate } from './measure-rate.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** Atomic batches of 100 new keys, one batch at a time, nothing synced; counted in entries. */
export const batchPuts: Workload = {
  name: 'batch-puts',
  figures: [{ name: 'batches of 100, entries', unit: 'per-second', better: 'more', target: '>= 3x classic-level' }],
  needs: 'empty',
  async measure(context: MeasureContext): Promise<Figures> {
    const { database, dataset } = context
    const batches = await measureRate(context, (i) => {
      const entries: Entry[] = []
      for (let k = 0; k < 100; k++) entries.push(dataset.entry(i * 100 + k))
      return database.putBatch(entries)
    })
    return { 'batches of 100, entries': batches * 100 }
  },
}
