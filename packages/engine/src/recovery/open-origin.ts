import type { Clock, Random } from '@moraine/base'
import { type ObjectStore, parseLocation, PrefixedObjectStore, RetryingObjectStore } from '@moraine/object-store'

/** The place of an origin that is not in the root: its requests are retried, but not counted as this database's. */
export function openOrigin(url: string, settings: { readonly clock: Clock; readonly random: Random }): ObjectStore {
  const { store, prefix } = parseLocation(url)
  return new PrefixedObjectStore(new RetryingObjectStore(store, settings), prefix)
}
