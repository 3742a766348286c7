import { MoraineError } from '@moraine/base'
import type { EngineEvents } from '../recovery/engine-event.ts'

export type EventName = keyof EngineEvents

const NAMES: readonly EventName[] = ['flush', 'compaction', 'checkpoint', 'restore', 'gc', 'stall', 'fenced', 'error']

/** The listeners of a database. One that throws does not disturb the engine: its error is thrown in a task of its own. */
export class EventListeners {
  readonly #listeners = new Map<EventName, Set<(payload: never) => void>>()

  /** Returns a function that removes the listener. */
  on<Name extends EventName>(name: Name, listener: (payload: EngineEvents[Name]) => void): () => void {
    if (!NAMES.includes(name)) {
      throw new MoraineError('INVALID', `there is no event '${String(name)}'; the events are ${NAMES.join(', ')}`)
    }
    if (typeof listener !== 'function') throw new MoraineError('INVALID', `the listener of '${name}' must be a function`)
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends EventName>(name: Name, payload: EngineEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as (payload: EngineEvents[Name]) => void)(payload)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
