import { type Clock, systemClock, type Timer } from '@moraine/base'

interface PendingTimer {
  readonly dueMs: number
  readonly order: number
  readonly fire: () => void
}

/**
 * A clock that stands still until a test moves it. Timers fire in the order of their times (of two with the same time,
 * the one set first), and everything that a timer sets off has come to rest before the next one fires: the same program
 * does the same things in the same order every time. Only for code that waits for promises and timers; work that waits
 * for the operating system (files, sockets) goes on at its own pace.
 */
export class SimulatedClock implements Clock {
  readonly #startMs: number
  #elapsedMs = 0
  #timersSet = 0
  readonly #timers = new Set<PendingTimer>()

  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer: PendingTimer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#timersSet++, fire }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  yieldNow(): Promise<void> {
    return systemClock.yieldNow()
  }

  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Moves time on by `ms`, firing what falls due on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      await atRest()
      const next = this.#next()
      if (next === undefined || next.dueMs > endMs) break
      this.#fire(next)
    }
    this.#elapsedMs = endMs
    await atRest()
  }

  /**
   * Moves time on, timer by timer, until `promise` has settled; gives what it gives. Rejects when there is nothing left
   * to fire, or after `limitMs` of simulated time: then whatever is waited for will never come.
   */
  async drive<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    const endMs = this.#elapsedMs + limitMs
    let settled = false
    const whatever = promise.catch(() => {})
    void whatever.then(() => {
      settled = true
    })
    for (;;) {
      await atRest()
      if (settled) return await promise
      const next = this.#next()
      if (next === undefined || next.dueMs > endMs) {
        throw new Error(`the promise is still pending after ${this.#elapsedMs} simulated ms, with ${this.#timers.size} timers set`)
      }
      this.#fire(next)
    }
  }

  #next(): PendingTimer | undefined {
    let next: PendingTimer | undefined
    for (const timer of this.#timers) {
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) next = timer
    }
    return next
  }

  #fire(timer: PendingTimer): void {
    this.#timers.delete(timer)
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs)
    timer.fire()
  }
}

/** Every promise that can settle without a timer has settled. The second turn is for code that yields itself. */
async function atRest(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await systemClock.yieldNow()
}
