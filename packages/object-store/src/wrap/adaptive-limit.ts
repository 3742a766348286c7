import { abortError, Deferred, MoraineError, onAbort } from '@moraine/base'

/** Leave to run one request; given back by `release`. */
export interface Admission {
  /** How often the limit had been lowered when the request started. */
  readonly decreases: number
}

/**
 * A limit on requests in flight that follows what the server bears: halved when the server says it is too much, raised
 * by one per limit's worth of successes. Requests that were in flight together when the server complained lower it
 * once, not once each. Whoever must wait is served in order.
 */
export class AdaptiveLimit {
  readonly #max: number
  readonly #waiting = new Set<Deferred<void>>()
  #limit: number
  #running = 0
  #decreases = 0
  #closed = false

  constructor(max: number) {
    this.#max = max
    this.#limit = max
  }

  /** Requests that may be in flight now. */
  get current(): number {
    return Math.floor(this.#limit)
  }

  async acquire(signal: AbortSignal | undefined): Promise<Admission> {
    if (this.#closed) throw closedError()
    if (this.#running < this.current && this.#waiting.size === 0) this.#running++
    else await this.#wait(signal)
    return { decreases: this.#decreases }
  }

  release(admission: Admission, outcome: 'succeeded' | 'overloaded' | 'failed'): void {
    this.#running--
    if (outcome === 'succeeded') {
      this.#limit = Math.min(this.#max, this.#limit + 1 / this.#limit)
    } else if (outcome === 'overloaded' && admission.decreases === this.#decreases) {
      this.#limit = Math.max(1, this.#limit / 2)
      this.#decreases++
    }
    for (const waiter of this.#waiting) {
      if (this.#running >= this.current) return
      // Counted here, not when the waiter goes on: otherwise somebody could slip in between.
      this.#running++
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }

  close(): void {
    this.#closed = true
    for (const waiter of this.#waiting) waiter.reject(closedError())
    this.#waiting.clear()
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) throw abortError(signal)
    const waiter = new Deferred<void>()
    this.#waiting.add(waiter)
    const unlisten =
      signal &&
      onAbort(signal, () => {
        if (this.#waiting.delete(waiter)) waiter.reject(abortError(signal))
      })
    try {
      await waiter.promise
    } finally {
      unlisten?.()
    }
  }
}

function closedError(): MoraineError {
  return new MoraineError('CLOSED', 'the object store is closed')
}
