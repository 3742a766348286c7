import { hostname } from 'node:os'
import { CountingObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { filesOf } from '../manifest/version.ts'
import { Keyspaces } from '../table/keyspaces.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { TableStore } from '../table/table-store.ts'
import { CostBook } from './cost-book.ts'
import { newDiskCache } from './new-disk-cache.ts'
import type { DatabaseSite } from './open-engine.ts'
import { openOrigin } from './open-origin.ts'
import { ReaderEngine } from './reader-engine.ts'
import type { EmitReaderEvent } from './reader-event.ts'
import { ReaderLease } from './reader-lease.ts'
import type { ReaderSettings } from './reader-settings.ts'
import { ReaderSource } from './reader-source.ts'

/**
 * Opens a database for reading. Nothing is written but a pin, so any number of processes may read, beside a writer and
 * without one. A reader that follows pins the newest manifest (see `pinNewest`). One that reads a checkpoint:
 *
 *   1. Read the newest manifest; find the checkpoint in it, or among the pins when it was taken from outside.
 *   2. Create an exact pin of the checkpoint's manifest.
 *   3. Look again: the checkpoint must still be there. Then it was there when our pin appeared, and a collector that did
 *      not see our pin has seen the checkpoint.
 *   4. Read the checkpoint's manifest.
 *
 * Without a lease there are no pins: a file may vanish at any time, which a reader that follows answers by looking for the
 * newest manifest, and any other by an error that says so.
 */
export async function openReaderEngine(
  site: DatabaseSite,
  settings: ReaderSettings,
  emit: EmitReaderEvent,
  signal?: AbortSignal,
): Promise<ReaderEngine> {
  const { clock, random, leaseMs } = settings
  const costs = new CostBook(site.root, settings.prices)
  const store = new CountingObjectStore(site.root, { clock, unattributed: costs.accounts.other })
  const stores = new OriginStores(new RetryingObjectStore(store, settings), site.prefix, (url) => openOrigin(url, settings))
  const manifests = new ManifestStore(costs.store(stores.own, 'refresh'), { clock, random })
  const closing = new AbortController()
  const lease =
    leaseMs === undefined
      ? undefined
      : new ReaderLease({
          store: costs.store(stores.own, 'lease'),
          leaseMs,
          holder: `reader, process ${process.pid} on ${hostname()}`,
          clock,
          random,
          onFailed: (error) => emit('error', { error, willRetry: true }),
          signal: closing.signal,
        })
  const diskCache = newDiskCache(settings, emit)
  const { get: gets, scan: scans } = costs.accounts
  const memory = settings.memoryBudget.join()
  const tables = new TableStore((origin) => stores.of(origin), { ...settings, memory }, { gets, scans }, diskCache)
  const sourceFor = (purpose: 'open' | 'refresh'): ReaderSource => {
    const charged = costs.store(stores.own, purpose)
    return new ReaderSource(new ManifestStore(charged, { clock, random }), charged, lease, settings.checkpoint)
  }
  try {
    const basis = await sourceFor('open').acquire(signal)
    await diskCache?.open(basis.manifest.databaseId)
    tables.retainOnDisk(new Set(Array.from(filesOf(basis.manifest.version), ({ id }) => id)))
    const keyspaces = new Keyspaces(basis.manifest.keyspaces)
    for (const [name, declared] of settings.keyspaces) keyspaces.declare(name, declared)
    const source = sourceFor('refresh')
    const reader = new ReaderEngine({ settings, store, costs, stores, tables, manifests, source, basis, keyspaces, lease, memory, emit, closing })
    await reader.start(signal)
    return reader
  } catch (error) {
    memory.close()
    await lease?.close()
    await tables.close()
    throw error
  }
}
