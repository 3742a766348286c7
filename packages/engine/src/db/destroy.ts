import { type CallLimits, type Clock, type Random, systemClock, systemRandom } from '@moraine/base'
import { parseLocation, PrefixedObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { destroyDatabase, type DestroyReport } from '../gc/destroy-database.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { limitChecks, underLimits } from './call-options.ts'
import { type Location, resolveLocation } from './open.ts'
import { booleanOption, checkOptions, objectOption, type OptionChecks } from './option-checks.ts'

export interface DestroyOptions extends CallLimits {
  /** Destroy it although clones or readers use it, or its owner did not close it: what they read will be missing. */
  readonly force?: boolean
  readonly onProgress?: (deletedObjects: number) => void
  readonly clock?: Clock
  readonly random?: Random
}

const checks: OptionChecks<DestroyOptions> = {
  force: booleanOption,
  onProgress: (value) => (typeof value === 'function' ? undefined : 'a function'),
  ...limitChecks,
  clock: objectOption('nowMs'),
  random: objectOption('fill'),
}

/**
 * Deletes a database and everything of it; what else the location holds stays. CONFLICT while a clone or a reader uses it,
 * or while it has an owner. Interrupted, it cannot be opened any more, and another call finishes the work.
 */
export async function destroy(location: Location, options: DestroyOptions = {}): Promise<DestroyReport> {
  checkOptions('destroy', options, checks)
  const { site } = resolveLocation(location)
  const { force = false, onProgress } = options
  const times = { clock: options.clock ?? systemClock, random: options.random ?? systemRandom }
  const stores = new OriginStores(new RetryingObjectStore(site.root, times), site.prefix, (url) => {
    const { store, prefix } = parseLocation(url)
    return new PrefixedObjectStore(new RetryingObjectStore(store, times), prefix)
  })
  const manifests = new ManifestStore(stores.own, times)
  try {
    const originStore = stores.of.bind(stores)
    return await underLimits('destroy', options, times.clock, (signal) =>
      destroyDatabase({ ...times, store: stores.own, manifests, originStore, force, signal, onProgress }),
    )
  } finally {
    await stores.close()
  }
}
