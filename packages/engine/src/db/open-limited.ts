import { type CallLimits, type Clock, hasLimits, limitCall, stopWaitingWhile } from '@moraine/base'

interface Opened {
  close(): Promise<void>
}

/** Opens something under the limits of its call. What comes when the caller has gone is closed again. */
export function openLimited<Result extends Opened>(
  call: string,
  limits: CallLimits,
  clock: Clock,
  start: (signal?: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (!hasLimits(limits)) return start()
  let abandoned = false
  const run = async (signal: AbortSignal): Promise<Result> => {
    const opened = await start(signal)
    if (abandoned) await opened.close()
    return opened
  }
  const stopWaiting = stopWaitingWhile('what was opened by then is closed again')
  return limitCall(call, limits, clock, run, (error) => {
    abandoned = true
    return stopWaiting(error)
  })
}
