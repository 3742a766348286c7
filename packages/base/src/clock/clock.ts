import { onAbort } from '../async/abort-listeners.ts'
import { MoraineError } from '../error/moraine-error.ts'

/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void
}

/**
 * All time that Moraine sees. The real clock is {@link systemClock}; a simulation passes its own, and that is what
 * makes a failing run repeatable. Nothing outside this folder may call `Date.now`, `performance` or `setTimeout`.
 */
export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. May jump. For TTL, leases and display only. */
  nowMs(): number
  /** Monotonic milliseconds from an arbitrary origin. */
  monotonicMs(): number
  /** Calls `fire` once after `delayMs`. An unreferenced timer does not keep the process alive. */
  setTimer(delayMs: number, fire: () => void, options?: { unref?: boolean }): Timer
  /** Lets pending I/O and other tasks run; long loops call it between slices. */
  yieldNow(): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire, options) {
    const handle = setTimeout(fire, delayMs)
    if (options?.unref === true) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  yieldNow: () => new Promise((resolve) => setImmediate(resolve)),
}

/** Resolves after `delayMs`; rejects with ABORTED as soon as `signal` fires. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortError(signal))
      return
    }
    const timer = clock.setTimer(delayMs, () => {
      unlisten?.()
      resolve()
    })
    const unlisten =
      signal &&
      onAbort(signal, () => {
        timer.cancel()
        reject(abortError(signal))
      })
  })
}

/** The error of a call whose signal fired. A MoraineError given as the abort reason passes through as it is. */
export function abortError(signal: AbortSignal): MoraineError {
  const reason: unknown = signal.reason
  if (reason instanceof MoraineError) return reason
  return new MoraineError('ABORTED', 'the call was aborted by its signal', { cause: reason })
}

/** Throws the abort error when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortError(signal)
}
