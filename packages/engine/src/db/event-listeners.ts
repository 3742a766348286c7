import { MoraineError } from '@moraine/base'
import type { EngineEvents } from '../recovery/engine-event.ts'

export type EventName = keyof EngineEvents

/** The events of a database. */
export const DB_EVENTS: readonly EventName[] = [
  'flush',
  'compaction',
  'remoteCompaction',
  'checkpoint',
  'restore',
  'gc',
  'stall',
  'resume',
  'fenced',
  'error',
]

/** The listeners of a database. One that throws does not disturb the engine: its error is thrown in a task of its own. */
export class EventListeners<Events> {
  readonly #names: readonly (keyof Events)[]
  readonly #listeners = new Map<keyof Events, Set<(payload: never) => void>>()

  constructor(names: readonly (keyof Events)[]) {
    this.#names = names
  }

  /** Returns a function that removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    if (!this.#names.includes(name)) {
      throw new MoraineError('INVALID', `there is no event '${String(name)}'; the events are ${this.#names.map(String).join(', ')}`)
    }
    if (typeof listener !== 'function') throw new MoraineError('INVALID', `the listener of '${String(name)}' must be a function`)
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as (payload: Events[Name]) => void)(payload)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
