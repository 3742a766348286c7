import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMoraineError, systemClock, systemRandom } from '@moraine/base'
import { type ObjectStore, parseLocation, RetryingObjectStore } from '@moraine/object-store'
import { UsageError } from '../terminal/usage-error.ts'

/** Everything with `scheme://`; the rest are paths. */
export function isUrl(argument: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\//.test(argument)
}

/** The store that a URL names, with retries, and the prefix in it. A URL that names none is a UsageError. */
export function storeAt(url: string): { store: ObjectStore; prefix: string } {
  if (/^memory:/i.test(url)) {
    throw new UsageError(`${url} lives inside the program that opened it; nothing else can look into it`)
  }
  try {
    const { store, prefix } = parseLocation(url)
    return { store: new RetryingObjectStore(store, { clock: systemClock, random: systemRandom }), prefix }
  } catch (error) {
    if (isMoraineError(error, 'INVALID')) throw new UsageError(error.message)
    throw error
  }
}

/** The URL of a database that is given as a URL or as the path of a folder. */
export function databaseUrl(argument: string): string {
  if (isUrl(argument)) return argument
  if (!existsSync(argument)) throw new UsageError(`there is no folder ${argument}`)
  return pathToFileURL(resolve(argument)).href
}
