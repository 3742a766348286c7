import type { Clock } from '@moraine/base'

/** A turn of the event loop that writes have filled for this long is to end. */
const LONGEST_TURN_MS = 2

/** Looking at the clock at every write would cost as much as a tenth of the write. */
const WRITES_BETWEEN_LOOKS = 16

/**
 * Lets the event loop turn under full write load. A program that awaits put after put, or a thousand of them at once, gets
 * its answers from memory or from a log file that is written on the spot: nothing in that ever gives the event loop a turn,
 * and timers, sockets, and the flush that the writes will soon wait for would starve.
 */
export class LoopTurns {
  readonly #clock: Clock
  #next: Promise<void> | undefined
  #beganMs = 0
  #untilLook = 0
  #overdue = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** So many writes were taken in. The next turn, for them to wait for, when this one has lasted too long. */
  passed(writes: number): Promise<void> | undefined {
    if (this.#overdue) return this.#next
    this.#untilLook -= writes
    if (this.#untilLook > 0) return undefined
    this.#untilLook = WRITES_BETWEEN_LOOKS
    const nowMs = this.#clock.monotonicMs()
    if (this.#next === undefined) {
      this.#beganMs = nowMs
      this.#next = this.#clock.yieldNow().then(() => {
        this.#next = undefined
        this.#overdue = false
      })
      return undefined
    }
    if (nowMs - this.#beganMs < LONGEST_TURN_MS) return undefined
    this.#overdue = true
    return this.#next
  }
}
