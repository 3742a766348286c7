import { type ObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import { databaseUrl, storeAt } from '../source/store-location.ts'
import { UsageError } from '../terminal/usage-error.ts'

/** A database that a command line names; also a `Location`. */
export interface DatabaseAt {
  readonly store: ObjectStore
  readonly prefix: string
  /** The database's own prefix as a store. */
  readonly database: ObjectStore
}

/** Runs work on the one database that a command line names. */
export async function onDatabase<T>(
  command: string,
  targets: readonly string[],
  work: (location: DatabaseAt, url: string) => Promise<T>,
): Promise<T> {
  const [target] = targets
  if (target === undefined || targets.length > 1) throw new UsageError(`${command} takes one database (a URL or a folder)`)
  const url = databaseUrl(target)
  const location = storeAt(url)
  try {
    const { store, prefix } = location
    const database = prefix === '' ? store : new PrefixedObjectStore(store, prefix)
    return await work({ store, prefix, database }, url)
  } finally {
    await location.store.close()
  }
}
