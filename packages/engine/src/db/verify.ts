import { type CallLimits, type Clock, systemClock, systemRandom } from '@moraine/base'
import { parseLocation, PrefixedObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { verifyDatabase, type VerifyReport } from '../gc/verify-database.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { limitChecks, underLimits } from './call-options.ts'
import { type Location, resolveLocation } from './open.ts'
import { booleanOption, checkOptions, objectOption, type OptionChecks } from './option-checks.ts'

export interface VerifyOptions extends CallLimits {
  /** Read and check every block, not only the metadata of each table. Default false. */
  readonly deep?: boolean
  /** Also list objects that nothing refers to. Default false. */
  readonly orphans?: boolean
  readonly onProgress?: (progress: { readonly totalBytes: number; readonly readBytes: number }) => void
  readonly clock?: Clock
}

const checks: OptionChecks<VerifyOptions> = {
  deep: booleanOption,
  orphans: booleanOption,
  onProgress: (value) => (typeof value === 'function' ? undefined : 'a function'),
  ...limitChecks,
  clock: objectOption('nowMs'),
}

/**
 * Checks that everything a database refers to is in the store and sound: the newest state, its checkpoints and what pins
 * keep. Writes nothing and takes nothing over. What is wrong stands in the report; the call rejects only when it could
 * not look.
 */
export async function verify(location: Location, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkOptions('verify', options, checks)
  const { site } = resolveLocation(location)
  const times = { clock: options.clock ?? systemClock, random: systemRandom }
  const stores = new OriginStores(new RetryingObjectStore(site.root, times), site.prefix, (url) => {
    const { store, prefix } = parseLocation(url)
    return new PrefixedObjectStore(new RetryingObjectStore(store, times), prefix)
  })
  const { deep = false, orphans = false, onProgress } = options
  try {
    const manifests = new ManifestStore(stores.own, times)
    const storeOf = stores.of.bind(stores)
    return await underLimits('verify', options, times.clock, (signal) =>
      verifyDatabase({ store: stores.own, manifests, storeOf, deep, orphans, onProgress, signal }),
    )
  } finally {
    await stores.close()
  }
}
