import type { Clock } from '@moraine/base'

/**
 * The time that decides what has expired: the wall clock of the owner, but never before a moment that this database has
 * seen already. The latest one stands in every manifest, so that a clock that was set back brings nothing to life again,
 * here or at the next owner.
 */
export class TtlClock {
  readonly #clock: Clock
  #latestMs: number

  constructor(clock: Clock, latestMs: number) {
    this.#clock = clock
    this.#latestMs = latestMs
  }

  nowMs(): number {
    const nowMs = this.#clock.nowMs()
    if (nowMs > this.#latestMs) this.#latestMs = nowMs
    return this.#latestMs
  }

  /** Somebody else has seen this moment. */
  advance(toMs: number): void {
    if (toMs > this.#latestMs) this.#latestMs = toMs
  }
}
