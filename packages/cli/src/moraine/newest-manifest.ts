import { systemClock, systemRandom } from '@moraine/base'
import { PrefixedObjectStore } from '@moraine/object-store'
import { type Manifest, ManifestStore } from 'moraine/inspect'
import { databaseUrl, storeAt } from '../source/store-location.ts'
import { UsageError } from '../terminal/usage-error.ts'

/** The newest manifest of a database; a place that holds none is a UsageError. */
export async function newestManifest(target: string): Promise<Manifest> {
  const url = databaseUrl(target)
  const { store, prefix } = storeAt(url)
  try {
    const database = prefix === '' ? store : new PrefixedObjectStore(store, prefix)
    const manifests = new ManifestStore(database, { clock: systemClock, random: systemRandom })
    const manifest = await manifests.readNewest()
    if (manifest === undefined) throw new UsageError(`there is no database at ${url}`)
    return manifest
  } finally {
    await store.close()
  }
}
