import { setMaxListeners } from 'node:events'

/**
 * Each HTTP request listens to its signal while it runs, and many requests share the signal of a database. Node.js takes
 * more than ten listeners for a leak and prints a warning, which this one signal is spared.
 */
export function allowManyListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal)
}
