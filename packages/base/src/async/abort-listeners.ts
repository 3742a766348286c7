interface Listening {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

const listeningTo = new WeakMap<AbortSignal, Listening>()

/**
 * Calls `callback` once when `signal` fires; returns a function that takes it off again. However many calls share a
 * long-lived signal, it has one listener, and none once they have ended: neither a leak nor a warning about one.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const listening = listeningTo.get(signal) ?? listenTo(signal)
  const { callbacks, listener } = listening
  callbacks.add(callback)
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0 || listeningTo.get(signal) !== listening) return
    listeningTo.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}

function listenTo(signal: AbortSignal): Listening {
  const callbacks = new Set<() => void>()
  const listener = (): void => {
    listeningTo.delete(signal)
    for (const callback of callbacks) callback()
  }
  const listening = { callbacks, listener }
  listeningTo.set(signal, listening)
  signal.addEventListener('abort', listener, { once: true })
  return listening
}
