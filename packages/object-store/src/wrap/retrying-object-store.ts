import { type Clock, isMoraineError, type Random, sleep } from '@moraine/base'
import type { ObjectStore } from '../object-store.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { type StoreCall, WrappedObjectStore } from './wrapped-object-store.ts'

export interface RetryingObjectStoreOptions {
  readonly clock: Clock
  readonly random: Random
  /** Tries of one call, the first included. Default 6. */
  readonly attempts?: number | undefined
  /** Wait before the second try; it doubles from try to try. Default 100. */
  readonly baseDelayMs?: number | undefined
  /** Longest wait between two tries. Default 10,000. */
  readonly maxDelayMs?: number | undefined
  /** Calls in flight at most, while the server does not ask to slow down. Default 256. */
  readonly maxConcurrency?: number | undefined
}

/**
 * Repeats calls that failed for a passing reason (UNAVAILABLE with `detail.retryable`), after waits that grow and are
 * drawn at random, so that clients that failed together do not come back together. When the server asks to slow down
 * (503, 429), fewer calls are let through until it has recovered.
 *
 * A create (`ifAbsent`) is never repeated here: the echo of its own first try would look like somebody else's object.
 * `createExactly` is for that. Other writes are repeated with the same bytes, which changes nothing if they had landed.
 */
export class RetryingObjectStore extends WrappedObjectStore {
  readonly #clock: Clock
  readonly #random: Random
  readonly #attempts: number
  readonly #baseDelayMs: number
  readonly #maxDelayMs: number
  readonly #limit: AdaptiveLimit

  constructor(inner: ObjectStore, options: RetryingObjectStoreOptions) {
    super(inner)
    this.#clock = options.clock
    this.#random = options.random
    this.#attempts = options.attempts ?? 6
    this.#baseDelayMs = options.baseDelayMs ?? 100
    this.#maxDelayMs = options.maxDelayMs ?? 10_000
    this.#limit = new AdaptiveLimit(options.maxConcurrency ?? 256)
  }

  /** Calls that may be in flight now; falls when the server asks to slow down. */
  get concurrencyLimit(): number {
    return this.#limit.current
  }

  override async close(): Promise<void> {
    this.#limit.close()
    await super.close()
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#admitted(call, run)
      } catch (error) {
        if (call.ifAbsent || attempt >= this.#attempts || !isRetryable(error)) throw error
      }
      const delayMs = Math.min(this.#maxDelayMs, this.#baseDelayMs * 2 ** (attempt - 1))
      await sleep(this.#clock, delayMs * (0.5 + this.#random.next() / 2), call.signal)
    }
  }

  async #admitted<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    const admission = await this.#limit.acquire(call.signal)
    let outcome: 'succeeded' | 'overloaded' | 'failed' = 'failed'
    try {
      const result = await run()
      outcome = 'succeeded'
      return result
    } catch (error) {
      if (isOverload(error)) outcome = 'overloaded'
      throw error
    } finally {
      this.#limit.release(admission, outcome)
    }
  }
}

function isRetryable(error: unknown): boolean {
  return isMoraineError(error, 'UNAVAILABLE') && error.detail['retryable'] === true
}

function isOverload(error: unknown): boolean {
  if (!isMoraineError(error, 'UNAVAILABLE')) return false
  const { status, s3Code } = error.detail
  return status === 503 || status === 429 || s3Code === 'SlowDown'
}
