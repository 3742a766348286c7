import { measureRate } from './measure-rate.ts'
import { readOrder } from './read-order.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** Point reads in random order of entries that were just written and are still in the memtable. */
export const memtableReads: Workload = hotReads('memtable-reads', 'hot reads, memtable', 'memory', '>= 1,000,000/s')

/** Point reads in random order of flushed entries whose blocks are cached. */
export const cachedReads: Workload = hotReads('cached-reads', 'hot reads, cached blocks', 'tables', '>= 400,000/s')

function hotReads(name: string, figure: string, needs: 'memory' | 'tables', target: string): Workload {
  return {
    name,
    figures: [{ name: figure, unit: 'per-second', better: 'more', target }],
    needs,
    async measure(context: MeasureContext): Promise<Figures> {
      const keys = readOrder(context, (i) => context.dataset.key(i))
      const { database } = context
      let found = 0
      let reads = 0
      const rate = await measureRate(context, async (i) => {
        reads++
        if ((await database.get(keys[i % keys.length] as Uint8Array)) !== undefined) found++
      })
      if (found !== reads) throw new Error(`${context.subject.name} found ${found} of ${reads} keys that are there`)
      return { [figure]: rate }
    },
  }
}
