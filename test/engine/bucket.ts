// What stands in a bucket, and what should: for tests that ask whether anything is missing or left over.
import { systemClock, systemRandom } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { baseName, blobFilesOf, blobName, filesOf, type Manifest, ManifestStore, sstName } from 'moraine/inspect'

export function manifestsOf(store: ObjectStore): ManifestStore {
  return new ManifestStore(store, { clock: systemClock, random: systemRandom })
}

export async function newestOf(store: ObjectStore): Promise<Manifest> {
  return (await manifestsOf(store).readNewest()) as Manifest
}

export async function namesIn(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = []
  let token: string | undefined
  do {
    const page = await store.list(prefix, { token })
    names.push(...page.objects.map(({ key }) => key))
    token = page.nextToken
  } while (token !== undefined)
  return names.sort()
}

/** Data objects that a manifest needs. */
export function dataOf({ version, base }: Manifest): string[] {
  const names = [...filesOf(version)].filter(({ origin }) => origin === undefined).map(({ id }) => sstName(id))
  for (const { id, origin } of blobFilesOf(version).values()) if (origin === undefined) names.push(blobName(id))
  if (base !== undefined) names.push(baseName(base.id))
  return [...new Set(names)].sort()
}

export async function dataIn(store: ObjectStore): Promise<string[]> {
  return [...(await namesIn(store, 'base/')), ...(await namesIn(store, 'blob/')), ...(await namesIn(store, 'sst/'))].sort()
}
