import { type Clock, isMoraineError, MoraineError, type Random, type Timer } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { createPin, type Pin, releasePin, renewPin } from '../checkpoint/pins.ts'
import type { ManifestId } from '../layout/numbers.ts'

export interface ReaderLeaseOptions {
  readonly store: ObjectStore
  readonly leaseMs: number
  /** Who reads, for people that look at the pins. */
  readonly holder: string
  readonly clock: Clock
  readonly random: Random
  readonly onFailed: (error: MoraineError) => void
  readonly signal: AbortSignal
}

/** A pin of this reader, and until when it surely holds. */
export interface HeldPin {
  readonly pin: Pin
  /** By the monotonic clock, counted from before the last write of the pin: never later than the store counts. */
  readonly validUntilMs: number
}

interface LivingPin extends HeldPin {
  validUntilMs: number
}

/** A lease is written anew this often while it lasts, so that one failure does no harm. */
const RENEWALS_PER_LEASE = 3

/**
 * The pins of one reader: creates them, writes them anew before they lapse, deletes them. A collector judges a lease by
 * the store's clock; the reader judges its own by a monotonic clock that starts before the request, and takes it for
 * lapsed earlier than any collector does. A lease that has lapsed is never renewed: its files may be gone already, so
 * the reader has to begin anew.
 */
export class ReaderLease {
  readonly #options: ReaderLeaseOptions
  readonly #held = new Set<LivingPin>()
  #timer: Timer | undefined

  constructor(options: ReaderLeaseOptions) {
    this.#options = options
  }

  get pins(): number {
    return this.#held.size
  }

  async acquire(manifestId: ManifestId, scope: 'from' | 'only'): Promise<HeldPin> {
    const { store, leaseMs, holder, clock, random, signal } = this.#options
    const askedMs = clock.monotonicMs()
    const request = {
      manifestId,
      scope,
      holder: { kind: 'lease', leaseMs } as const,
      note: { holder, createdAtMs: clock.nowMs() },
    }
    const pin = await createPin(store, request, random, signal)
    const held: LivingPin = { pin, validUntilMs: askedMs + leaseMs }
    this.#held.add(held)
    this.#armRenewal()
    return held
  }

  /** Gives a pin up. One that cannot be deleted lapses by itself. */
  async release(held: HeldPin): Promise<void> {
    if (!this.#held.delete(held)) return
    try {
      await releasePin(this.#options.store, held.pin, this.#options.signal)
    } catch (error) {
      if (isMoraineError(error) && !this.#options.signal.aborted) this.#options.onFailed(error)
    }
  }

  /** UNAVAILABLE when the lease may have lapsed. */
  ensureValid(held: HeldPin): void {
    const { clock, leaseMs } = this.#options
    if (clock.monotonicMs() < held.validUntilMs) return
    throw new MoraineError(
      'UNAVAILABLE',
      `the lease of this reader has lapsed: it could not be renewed within ${leaseMs} ms, so the files it reads may be gone. Call refresh() to begin anew, or open a new reader; a longer lease outlasts longer interruptions`,
      { detail: { leaseMs, manifest: held.pin.manifestId } },
    )
  }

  /** Ends the renewals and gives everything up, as far as the store answers. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    const pins = [...this.#held]
    this.#held.clear()
    await Promise.allSettled(pins.map(({ pin }) => releasePin(this.#options.store, pin, this.#options.signal)))
  }

  #armRenewal(): void {
    if (this.#timer !== undefined) return
    const { clock, leaseMs, signal } = this.#options
    this.#timer = clock.setTimer(
      leaseMs / RENEWALS_PER_LEASE,
      () => {
        void this.#renewAll().finally(() => {
          this.#timer = undefined
          if (this.#held.size > 0 && !signal.aborted) this.#armRenewal()
        })
      },
      { unref: true },
    )
  }

  async #renewAll(): Promise<void> {
    await Promise.all([...this.#held].map((held) => this.#renew(held)))
  }

  async #renew(held: LivingPin): Promise<void> {
    const { store, leaseMs, clock, onFailed, signal } = this.#options
    const askedMs = clock.monotonicMs()
    if (askedMs >= held.validUntilMs) return
    try {
      await renewPin(store, held.pin, signal)
      // It may have been released while it was being written: then it is not to come back.
      if (!this.#held.has(held)) return await releasePin(store, held.pin, signal)
      // An answer that comes after the end is worth nothing: the pin may have been collected before it was written.
      if (clock.monotonicMs() < held.validUntilMs) held.validUntilMs = askedMs + leaseMs
    } catch (error) {
      if (isMoraineError(error) && !signal.aborted) onFailed(error)
    }
  }
}
