import type { Figures, MeasureContext, Workload } from './workload.ts'

const figure = 'durable put alone, p50'

/** One put at a time, each acknowledged when it is synced. How long that takes is the disk's or the store's affair. */
export const durablePuts: Workload = {
  name: 'durable-puts',
  figures: [{ name: figure, unit: 'ms', better: 'less', target: 'one sync or PUT + 10 %' }],
  needs: 'empty',
  durable: true,
  async measure(context: MeasureContext): Promise<Figures> {
    const { database, dataset } = context
    const times: number[] = []
    const startMs = context.nowMs()
    for (let i = 0; context.nowMs() - startMs < context.budgetMs || i < 3; i++) {
      const putMs = context.nowMs()
      await database.putDurable(dataset.key(i), dataset.value(i))
      times.push(context.nowMs() - putMs)
    }
    times.sort((a, b) => a - b)
    return { [figure]: times[times.length >> 1] as number }
  },
}
