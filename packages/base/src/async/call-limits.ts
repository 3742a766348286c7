import { abortError, type Clock } from '../clock/clock.ts'
import { MoraineError } from '../error/moraine-error.ts'
import { onAbort } from './abort-listeners.ts'

/** What ends the wait of a call before it has its answer: ABORTED then. */
export interface CallLimits {
  /** Gives the call up when it fires. One that has fired already: nothing happens at all. */
  readonly signal?: AbortSignal | undefined
  /** Gives the call up after so many milliseconds of the database's clock; `detail.timeoutMs` of the error says so. */
  readonly timeoutMs?: number | undefined
}

/** What becomes of a call at its limit: the error to end it with at once, or undefined to leave that to its work. */
export type AtLimit = (error: MoraineError) => MoraineError | undefined

type Limited = { readonly signal: AbortSignal } | { readonly timeoutMs: number }

/** True when a call has to watch something. Calls without limits do not go through `limitCall`, and cost nothing. */
export function hasLimits<Limits extends CallLimits>(limits: Limits | undefined): limits is Limits & Limited {
  return limits !== undefined && (limits.signal !== undefined || limits.timeoutMs !== undefined)
}

/**
 * Runs the work of a call under its limits. At the limit `atLimit` is asked first, then the signal that `run` was given
 * fires. By default the call ends there and then, and its work goes on for whoever else waits for it. Nothing is left
 * behind afterwards: no timer, no listener.
 */
export function limitCall<Result>(
  call: string,
  limits: CallLimits,
  clock: Clock,
  run: (signal: AbortSignal) => Promise<Result>,
  atLimit: AtLimit = stopWaiting,
): Promise<Result> {
  const { signal, timeoutMs } = limits
  if (signal?.aborted === true) return Promise.reject(abortError(signal))
  return new Promise((resolve, reject) => {
    const limit = new AbortController()
    const reached = (error: MoraineError): void => {
      unwatch()
      const told = atLimit(error)
      if (told !== undefined) reject(told)
      limit.abort(error)
    }
    const timer =
      timeoutMs === undefined ? undefined : clock.setTimer(timeoutMs, () => reached(timeoutError(call, timeoutMs)))
    const unlisten = signal === undefined ? undefined : onAbort(signal, () => reached(abortError(signal)))
    const unwatch = (): void => {
      timer?.cancel()
      unlisten?.()
    }
    const ended = (outcome: () => void): void => {
      unwatch()
      outcome()
    }
    let work: Promise<Result>
    try {
      work = run(limit.signal)
    } catch (error) {
      ended(() => reject(error))
      return
    }
    work.then(
      (result) => ended(() => resolve(result)),
      (error: unknown) => ended(() => reject(error)),
    )
  })
}

/** The work watches the signal itself, and ends in good order: with what it was given, or with its answer after all. */
export const passOn: AtLimit = () => undefined

/** The caller stops waiting; `meanwhile` says what the work does from then on. */
export function stopWaitingWhile(meanwhile: string, detail: { readonly taken?: true } = {}): AtLimit {
  return (error) =>
    new MoraineError('ABORTED', `${error.message}; ${meanwhile}`, { detail: { ...error.detail, ...detail }, cause: error.cause ?? error })
}

function stopWaiting(error: MoraineError): MoraineError {
  return error
}

function timeoutError(call: string, timeoutMs: number): MoraineError {
  return new MoraineError('ABORTED', `${call} was given up after ${timeoutMs} ms (timeoutMs)`, { detail: { timeoutMs } })
}
