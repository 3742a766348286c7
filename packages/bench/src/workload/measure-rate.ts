import type { MeasureContext } from './workload.ts'

/** Runs `step` over and over, one at a time, until the budget is used; steps per second. */
export async function measureRate(context: MeasureContext, step: (i: number) => Promise<unknown>): Promise<number> {
  const startMs = context.nowMs()
  let done = 0
  let elapsedMs = 0
  while (elapsedMs < context.budgetMs) {
    // The clock costs as much as the fastest steps do, so it is asked once for many; a slow subject still stops
    // after a few steps because the stride grows with the count only.
    const stride = Math.min(64, 1 + (done >> 3))
    for (let i = 0; i < stride; i++) await step(done + i)
    done += stride
    elapsedMs = context.nowMs() - startMs
  }
  return (done / elapsedMs) * 1000
}

/** The same with `lanes` steps in flight at any time. */
export async function measureConcurrentRate(
  context: MeasureContext,
  lanes: number,
  step: (i: number) => Promise<unknown>,
): Promise<number> {
  const startMs = context.nowMs()
  let started = 0
  let over = false
  const lane = async (): Promise<void> => {
    while (!over) {
      const i = started++
      await step(i)
      if (i % 64 === 0) over = context.nowMs() - startMs >= context.budgetMs
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return (started / (context.nowMs() - startMs)) * 1000
}
