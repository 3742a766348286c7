import { type Clock, Deferred } from '@moraine/base'

/**
 * Waits for what may be waiting for a store that never answers: reads of a compaction that was given up, deletions.
 * Neither can do harm any more, so they are left behind at the deadline, a moment of the clock's monotonic time.
 */
export async function untilDeadline(clock: Clock, deadlineMs: number, work: Promise<unknown>): Promise<void> {
  const late = new Deferred<void>()
  const timer = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), () => late.resolve())
  try {
    await Promise.race([work, late.promise])
  } finally {
    timer.cancel()
  }
}
