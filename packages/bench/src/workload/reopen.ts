import type { Figures, MeasureContext, Workload } from './workload.ts'

/** Opens a database that was closed cleanly: what a restart costs before the first read. */
export const reopen: Workload = {
  name: 'reopen',
  figures: [
    { name: 'reopen, requests', unit: 'count', better: 'less', target: '<= 5' },
    { name: 'reopen', unit: 'ms', better: 'less', target: '' },
  ],
  needs: 'own',
  async measure(context: MeasureContext): Promise<Figures> {
    const { dataset, subject } = context
    const settings = context.freshSettings()
    const first = await subject.open(settings)
    for (let i = 0; i < 20_000; i += 100) {
      await first.putBatch(Array.from({ length: 100 }, (_, k) => dataset.entry(i + k)))
    }
    await first.flush()
    await first.close()

    const startMs = context.nowMs()
    const second = await subject.open(settings)
    const openMs = context.nowMs() - startMs
    const requests = second.traffic?.().requests
    if ((await second.get(dataset.key(19_999))) === undefined) throw new Error(`${subject.name} lost a key`)
    await second.close()
    return { reopen: openMs, ...(requests === undefined ? {} : { 'reopen, requests': requests }) }
  },
}
