import { abortError } from '../clock/clock.ts'
import { onAbort } from './abort-listeners.ts'
import { Deferred } from './deferred.ts'

/**
 * Callers waiting for a condition that someone else makes true. Waking is always by an explicit call, so close,
 * fencing and abort can free every waiter (a stalled write must never outlive its database).
 */
export class WaitList {
  readonly #waiters = new Set<Deferred<void>>()

  get size(): number {
    return this.#waiters.size
  }

  /** Waits for the next `wakeAll`; rejects on `rejectAll` or when `signal` fires. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(abortError(signal))
    const waiter = new Deferred<void>()
    this.#waiters.add(waiter)
    if (signal === undefined) return waiter.promise
    const unlisten = onAbort(signal, () => {
      if (this.#waiters.delete(waiter)) waiter.reject(abortError(signal))
    })
    return waiter.promise.finally(unlisten)
  }

  wakeAll(): void {
    const woken = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of woken) waiter.resolve()
  }

  rejectAll(error: unknown): void {
    const woken = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of woken) waiter.reject(error)
  }
}
