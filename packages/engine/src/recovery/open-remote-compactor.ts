import type { Clock, Random } from '@moraine/base'
import { RetryingObjectStore } from '@moraine/object-store'
import { RemoteCompactor, type RemoteCompactorEvent } from '../compaction/remote/remote-compactor.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { InlineByteWork } from '../table/inline-byte-work.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { TableStore } from '../table/table-store.ts'
import type { DatabaseSite } from './open-engine.ts'
import { openOrigin } from './open-origin.ts'

/** Blocks go through a merge once, so none are kept. */
const CACHES = { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 64 * 1024 * 1024 }

/** A compactor for a database that another process owns. It has nothing else to do, so it needs no threads. */
export function openRemoteCompactor(
  site: DatabaseSite,
  options: { readonly clock: Clock; readonly random: Random; readonly onEvent?: (event: RemoteCompactorEvent) => void },
): RemoteCompactor {
  const { clock, random, onEvent = () => {} } = options
  const stores = new OriginStores(new RetryingObjectStore(site.root, { clock, random }), site.prefix, (url) => openOrigin(url, options))
  const tables = new TableStore((origin) => stores.of(origin), CACHES)
  return new RemoteCompactor({
    store: stores.own,
    manifests: new ManifestStore(stores.own, { clock, random }),
    tables,
    byteWork: new InlineByteWork({ tables, clock }),
    clock,
    random,
    onEvent,
  })
}
