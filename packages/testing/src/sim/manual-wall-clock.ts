import { type Clock, systemClock, type Timer } from '@moraine/base'

/**
 * A wall clock that stands still until a test sets it, forwards or backwards, while timers run in real time: for tests of
 * what expires, beside work that waits for the operating system.
 */
export class ManualWallClock implements Clock {
  #nowMs: number

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs
  }

  monotonicMs(): number {
    return systemClock.monotonicMs()
  }

  setTimer(delayMs: number, fire: () => void, options?: { readonly unref?: boolean }): Timer {
    return systemClock.setTimer(delayMs, fire, options)
  }

  yieldNow(): Promise<void> {
    return systemClock.yieldNow()
  }
}
