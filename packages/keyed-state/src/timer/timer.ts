import { MoraineError } from '@moraine/base'
import type { Namespace } from '../codec/namespace-codec.ts'

export type TimerDomain = 'event' | 'processing'

/** A timer: at most one for the same key, namespace, time and domain. */
export interface Timer<Key> {
  readonly key: Key
  readonly namespace?: Namespace | undefined
  /** Milliseconds: of the watermark, or of the backend's clock. */
  readonly time: number
  readonly domain: TimerDomain
}

/**
 * What happens when a timer fires. It may use state, and register and delete timers, also such as are due: for the time of its own
 * timer or later.
 */
export type TimerHandler<Key> = (timer: Timer<Key>) => void | Promise<void>

/** INVALID for what is no timer. */
export function checkTimer(call: string, timer: Timer<unknown>): void {
  const { time, domain } = timer ?? {}
  if (domain !== 'event' && domain !== 'processing') {
    throw new MoraineError('INVALID', `${call} takes { key, time, domain: 'event' | 'processing', namespace? }`)
  }
  checkTime(call, time)
}

export function checkTime(call: string, time: unknown): void {
  if (Number.isSafeInteger(time)) return
  throw new MoraineError('INVALID', `the time given to ${call} must be a whole number of milliseconds, not ${String(time)}`)
}
