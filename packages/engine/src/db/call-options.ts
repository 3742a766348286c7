import { type AtLimit, type CallLimits, type Clock, hasLimits, limitCall, passOn, stopWaitingWhile } from '@moraine/base'
import type { WritePath } from '../write/write-path.ts'
import { checkOptions, integerOption, type OptionChecks, signalOption } from './option-checks.ts'

/** The most that a timer takes. */
const MOST_TIMEOUT_MS = 2_147_483_647

export const limitChecks: OptionChecks<CallLimits> = {
  signal: signalOption,
  timeoutMs: integerOption(1, MOST_TIMEOUT_MS),
}

/** Checks the options of a call that has no others. */
export function checkLimits(call: string, options: CallLimits | undefined): void {
  if (options !== undefined) checkOptions(call, options, limitChecks)
}

/** Runs the work of a call that watches a signal itself, and ends in good order when it fires. */
export function underLimits<Result>(
  call: string,
  limits: CallLimits,
  clock: Clock,
  run: (signal: AbortSignal | undefined) => Promise<Result>,
): Promise<Result> {
  return hasLimits(limits) ? limitCall(call, limits, clock, run, passOn) : run(undefined)
}

/** Waits for work that goes on by itself; `meanwhile` says, to a caller who stops waiting, what becomes of it. */
export function waitUnderLimits<Result>(
  call: string,
  limits: CallLimits | undefined,
  clock: Clock,
  meanwhile: string,
  run: (signal?: AbortSignal) => Promise<Result>,
): Promise<Result> {
  return hasLimits(limits) ? limitCall(call, limits, clock, run, stopWaitingWhile(meanwhile)) : run()
}

/**
 * Runs what has its turn among the writes. While it is held back a limit withdraws it without a trace; once it was taken in
 * it cannot be recalled, and the caller stops waiting.
 */
export function limitedTurn<Result>(
  call: string,
  limits: CallLimits,
  engine: { readonly writes: Pick<WritePath, 'isHeld'>; readonly settings: { readonly clock: Clock } },
  taken: AtLimit,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { writes, settings } = engine
  let own: AbortSignal | undefined
  return limitCall(
    call,
    limits,
    settings.clock,
    (signal) => {
      own = signal
      return run(signal)
    },
    (error) => (own !== undefined && writes.isHeld(own) ? undefined : taken(error)),
  )
}

/** A write that was taken in. */
export const TAKEN_WRITE: AtLimit = stopWaitingWhile(
  'it was taken in and cannot be recalled: it stands in the order of the log, this process reads it, and it may be or become durable',
  { taken: true },
)

/** Runs a write that is checked first: whatever it waits for, a limit withdraws it until it says that it was taken in. */
export function limitedCheckedWrite(
  call: string,
  limits: CallLimits,
  clock: Clock,
  run: (signal: AbortSignal, onTaken: () => void) => Promise<void>,
): Promise<void> {
  let taken = false
  const onTaken = (): void => {
    taken = true
  }
  return limitCall(call, limits, clock, (signal) => run(signal, onTaken), (error) => (taken ? TAKEN_WRITE(error) : undefined))
}
