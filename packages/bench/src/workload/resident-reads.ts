import { readOrder } from './read-order.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

const figure = 'hot reads, getResident'

/** Synchronous reads of what is in memory. */
export const residentReads: Workload = {
  name: 'resident-reads',
  figures: [{ name: figure, unit: 'per-second', better: 'more', target: '>= 3,000,000/s' }],
  needs: 'memory',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const keys = readOrder(context, (i) => context.dataset.key(i))
    const { database } = context
    const startMs = context.nowMs()
    let reads = 0
    let answered = 0
    let elapsedMs = 0
    while (elapsedMs < context.budgetMs) {
      for (let i = 0; i < 1000; i++) {
        if (database.getResident?.(keys[reads++ % keys.length] as Uint8Array) === true) answered++
      }
      elapsedMs = context.nowMs() - startMs
    }
    if (answered !== reads) throw new Error(`getResident answered ${answered} of ${reads} reads of resident keys`)
    return { [figure]: (reads / elapsedMs) * 1000 }
  },
}
