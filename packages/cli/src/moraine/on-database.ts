import type { Location } from 'moraine'
import { databaseUrl, storeAt } from '../source/store-location.ts'
import { UsageError } from '../terminal/usage-error.ts'

/** Runs work on the one database that a command line names. */
export async function onDatabase<T>(
  command: string,
  targets: readonly string[],
  work: (location: Location, url: string) => Promise<T>,
): Promise<T> {
  const [target] = targets
  if (target === undefined || targets.length > 1) throw new UsageError(`${command} takes one database (a URL or a folder)`)
  const url = databaseUrl(target)
  const location = storeAt(url)
  try {
    return await work(location, url)
  } finally {
    await location.store.close()
  }
}
