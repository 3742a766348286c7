import { type Clock, equalBytes, isMoraineError, MoraineError, type Random, sleep, throwIfAborted } from '@moraine/base'
import type { CallOptions, ObjectStore, PutOutcome } from './object-store.ts'

export interface CreateExactlyOptions extends CallOptions {
  readonly clock: Clock
  readonly random: Random
  /** Stop trying at this time of `clock.monotonicMs()`. Default: only the signal ends the attempts. */
  readonly deadlineMs?: number | undefined
}

const FIRST_DELAY_MS = 50
const MAX_DELAY_MS = 5_000

/**
 * Creates an object exactly once and finds out whether it was us. Resolves to `created` when the object holds our
 * bytes, to `exists` when it holds others.
 *
 * `bytes` must carry a token that no other creator uses: that is how a create whose reply was lost is told from the
 * create of somebody else. An ambiguous outcome (time-out, lost connection, 409, 5xx, and also a plain `exists`, which
 * may be the echo of our own first try) is settled by reading back. Finding nothing proves nothing, since the request
 * may still be on its way; so the identical bytes are sent again until the outcome is definite. Whichever copy lands
 * first, it is ours, and every later copy is refused by the store.
 *
 * Rejects with the signal's error when it fires, with UNAVAILABLE at the deadline, and with the store's own error when
 * it refuses for good. `detail.ambiguous` then says that the object may still come to exist.
 */
export async function createExactly(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: CreateExactlyOptions,
): Promise<PutOutcome> {
  const { clock, random, signal, account } = options
  let unsettled = false
  for (let attempt = 0; ; attempt++) {
    throwIfAborted(signal)
    let failure: unknown
    try {
      if ((await store.put(key, bytes, { ifAbsent: true, signal, account })) === 'created') return 'created'
    } catch (error) {
      failure = error
      throwIfAborted(signal)
      if (!isRetryable(error)) throw unsettled ? stillAmbiguous(key, error) : error
      if (error.detail['ambiguous'] !== false) unsettled = true
    }
    try {
      const found = await store.get(key, { signal, account })
      if (found !== undefined) return equalBytes(found.bytes, bytes) ? 'created' : 'exists'
    } catch (error) {
      failure = error
      throwIfAborted(signal)
      if (!isRetryable(error)) throw unsettled ? stillAmbiguous(key, error) : error
    }
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10)) * (0.5 + random.next() / 2)
    if (options.deadlineMs !== undefined && clock.monotonicMs() + delayMs >= options.deadlineMs) {
      throw stillAmbiguous(key, failure)
    }
    await sleep(clock, delayMs, signal)
  }
}

function isRetryable(error: unknown): error is MoraineError {
  return isMoraineError(error, 'UNAVAILABLE') && error.detail['retryable'] === true
}

/** An earlier try may have landed, so that a later refusal must not look as if nothing had been written. */
function stillAmbiguous(key: string, cause: unknown): MoraineError {
  if (isMoraineError(cause, 'CLOSED')) return cause
  return new MoraineError(
    'UNAVAILABLE',
    `it could not be found out whether ${key} was created; check the store and try again`,
    { detail: { key, retryable: false, ambiguous: true }, cause },
  )
}
