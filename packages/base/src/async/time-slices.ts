import { type Clock, throwIfAborted } from '../clock/clock.ts'

/** Long byte work gives way to everything else after this long. */
const SLICE_MS = 4

/**
 * A function for long loops to call: gives a promise to wait for when the current slice of time is used up, and throws
 * when the signal has fired.
 */
export function timeSlices(clock: Clock, signal: AbortSignal): () => Promise<void> | undefined {
  let sliceEndsMs = clock.monotonicMs() + SLICE_MS
  return () => {
    throwIfAborted(signal)
    const nowMs = clock.monotonicMs()
    if (nowMs < sliceEndsMs) return undefined
    // After an idle time the old end lies far back: only start counting.
    if (nowMs - sliceEndsMs > SLICE_MS) {
      sliceEndsMs = nowMs + SLICE_MS
      return undefined
    }
    return clock.yieldNow().then(() => {
      sliceEndsMs = clock.monotonicMs() + SLICE_MS
    })
  }
}
