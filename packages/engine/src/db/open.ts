import { MoraineError } from '@moraine/base'
import { type ObjectStore, parseLocation, PrefixedObjectStore } from '@moraine/object-store'
import type { EngineEvents } from '../recovery/engine-event.ts'
import { type DatabaseSite, openEngine } from '../recovery/open-engine.ts'
import { Db } from './db.ts'
import { DB_EVENTS, EventListeners } from './event-listeners.ts'
import { openLimited } from './open-limited.ts'
import { engineSettings, type OpenOptions } from './open-options.ts'

/**
 * Where a database is: a URL (`s3://bucket/prefix?endpoint=...`, `file:///folder`, `memory://name`), or a store and a
 * prefix in it.
 */
export type Location = string | { readonly store: ObjectStore; readonly prefix?: string }

/**
 * Opens a database for writing, and creates it when the location is empty. From then on this process owns it: a process
 * that had it open is fenced off (see `takeover`).
 */
export async function open(location: Location, options: OpenOptions = {}): Promise<Db> {
  const settings = engineSettings(options)
  return await openLimited('open', options, settings.clock, async (signal) => {
    const { site, owned } = resolveLocation(location)
    const events = new EventListeners<EngineEvents>(DB_EVENTS)
    try {
      const engine = await openEngine(site, settings, (name, payload) => events.emit(name, payload), signal)
      return new Db(engine, events)
    } catch (error) {
      if (owned) await site.root.close()
      throw error
    }
  })
}

/** What a location names. `owned`: the store was made here and is closed with the database. */
export function resolveLocation(location: Location): { site: DatabaseSite; owned: boolean } {
  if (typeof location === 'string') {
    const { store, prefix } = parseLocation(location)
    return { site: { root: store, prefix }, owned: true }
  }
  if (typeof location !== 'object' || location === null || typeof location.store?.get !== 'function') {
    throw new MoraineError('INVALID', "a location is a URL such as 's3://bucket/prefix', or { store, prefix }")
  }
  return { site: { root: new BorrowedStore(location.store, ''), prefix: location.prefix ?? '' }, owned: false }
}

/** A caller's store: closing the database leaves it open. */
class BorrowedStore extends PrefixedObjectStore {
  override close(): Promise<void> {
    return Promise.resolve()
  }
}
