import type { MemoryAccount } from '@moraine/base'
import { hostname } from 'node:os'
import { CountingObjectStore, type ObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { OriginReleaser } from '../checkpoint/origin-releaser.ts'
import { BackgroundCollector } from '../gc/background-collector.ts'
import { newFileId } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { filesOf } from '../manifest/version.ts'
import { VersionSet } from '../manifest/version-set.ts'
import { ArenaPool } from '../memtable/arena.ts'
import { Memtable } from '../memtable/memtable.ts'
import { ViewRegistry } from '../read/read-view.ts'
import { SnapshotRegistry } from '../read/snapshots.ts'
import { TtlClock } from '../read/ttl-clock.ts'
import type { DiskCache } from '../table/disk-cache/disk-cache.ts'
import { Keyspaces } from '../table/keyspaces.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { TableStore } from '../table/table-store.ts'
import { TableWriter } from '../table/table-writer.ts'
import type { LocalWalFolder } from '../wal/local-wal-folder.ts'
import { sweepStoreWal } from '../wal/store-wal-sweep.ts'
import { MemtableLedger } from '../write/memtable-ledger.ts'
import { BuildRules } from './build-rules.ts'
import { chooseByteWork } from './choose-byte-work.ts'
import { CostBook } from './cost-book.ts'
import { Engine } from './engine.ts'
import type { EmitEvent } from './engine-event.ts'
import { startLog } from './engine-log.ts'
import type { EngineSettings } from './engine-settings.ts'
import { adoptRestoredLog, dropUnusedSuccessor, prepareLocalLog, prepareRestoredLog } from './local-log.ts'
import { newDiskCache } from './new-disk-cache.ts'
import { openOrigin } from './open-origin.ts'
import { recoverLogs } from './recover-logs.ts'
import type { RestorePlan } from './restore-plan.ts'
import { takeOwnership } from './take-ownership.ts'

/** Where a database is: the bucket, folder or memory store, and the database's prefix in it. */
export interface DatabaseSite {
  readonly root: ObjectStore
  readonly prefix: string
}

/**
 * Opens a database for writing. Order, and the reason for each step:
 *
 *   1. Read the newest manifest; check the log folder's lineage and whose the disk cache is. A refusal happens here, before
 *      anybody is fenced.
 *   2. Commit the next epoch. From here on no older owner can commit; the state we start from is our own manifest.
 *   3. Take the log folder over, and fence the logs in the store that the manifest lists (wal/store-wal-takeover.ts).
 *      From here on no older owner can acknowledge into them.
 *   4. Replay the logs above the manifest's flushed sequence number.
 *   5. Start the log's writer, then everything else.
 *   6. With a log in the store: flush what came from a local one. Otherwise another machine would have what we are going
 *      to log without what came before it.
 *
 * A crash between any two of them leaves the logs where they are, under the id and the epochs that the manifest names,
 * and the next opening replays them again.
 */
export async function openEngine(
  site: DatabaseSite,
  settings: EngineSettings,
  emit: EmitEvent,
  signal?: AbortSignal,
): Promise<Engine> {
  const costs = new CostBook(site.root, settings.prices)
  const { accounts } = costs
  const store = new CountingObjectStore(site.root, { clock: settings.clock, unattributed: accounts.other })
  const stores = new OriginStores(new RetryingObjectStore(store, settings), site.prefix, (url) => openOrigin(url, settings))
  const diskCache = newDiskCache(settings, emit)
  const memory = settings.memoryBudget.join()
  const reads = { gets: accounts.get, scans: accounts.scan }
  const tables = new TableStore((origin) => stores.of(origin), { ...settings, memory }, reads, diskCache)
  const pool = new ArenaPool(settings.memtableSizeBytes * 2)
  memory.addCache({
    size: () => pool.pooledBytes,
    giveWay: (bytes) => {
      const before = pool.pooledBytes
      pool.trim(bytes)
      memory.charge('memtablePool', pool.pooledBytes - before)
    },
  })
  try {
    return await startEngine({ settings, store, costs, stores, tables, diskCache, pool, memory, emit }, undefined, signal)
  } catch (error) {
    await tables.close()
    memory.close()
    throw error
  }
}

/** What one engine after another uses when a database is restored in place. */
interface EngineGround {
  readonly settings: EngineSettings
  readonly store: CountingObjectStore
  readonly costs: CostBook
  readonly stores: OriginStores
  readonly tables: TableStore
  readonly diskCache: DiskCache | undefined
  readonly pool: ArenaPool
  readonly memory: MemoryAccount
  readonly emit: EmitEvent
  /** What was declared of keyspaces while the engine before this one ran. */
  readonly keyspaces?: Keyspaces
}

async function startEngine(ground: EngineGround, restore: RestorePlan | undefined, signal?: AbortSignal): Promise<Engine> {
  const { settings, store, costs, stores, tables, diskCache, pool, memory, emit } = ground
  const { clock, random } = settings
  const opening = restore === undefined ? 'open' : 'restore'
  // What says nothing else is charged to the opening: everything that runs later does.
  const retrying = costs.store(stores.own, opening)
  const manifests = new ManifestStore(retrying, { clock, random })
  let folder: LocalWalFolder | undefined
  let keyspaces = new Keyspaces([])
  const { manifest, before } = await takeOwnership({
    store: retrying,
    manifests,
    takeover: settings.takeover,
    createIfMissing: settings.createIfMissing,
    owner: `process ${process.pid} on ${hostname()}`,
    clock,
    random,
    signal,
    logsToStore: settings.wal.kind === 'object-store',
    prepareLog: async (previous, databaseId) => {
      // Refused, like a foreign log, before anybody is fenced.
      await diskCache?.open(databaseId)
      folder = await (restore === undefined
        ? prepareLocalLog(settings, previous, databaseId)
        : prepareRestoredLog(settings, databaseId))
      return folder?.walId
    },
    restore,
    keyspaces: (previous) => {
      keyspaces = ground.keyspaces ?? declaredKeyspaces(settings, previous)
      return keyspaces.records
    },
  })
  tables.retainOnDisk(new Set(Array.from(filesOf(manifest.version), ({ id }) => id)))
  const time = new TtlClock(clock, manifest.ttlNowMs)
  const snapshots = new SnapshotRegistry()
  const { databaseId } = manifest
  const rules = new BuildRules({ settings, databaseId, epoch: manifest.epoch, keyspaces, snapshots, time })
  if (restore === undefined) await dropUnusedSuccessor(settings, manifest.databaseId)
  else if (folder !== undefined) folder = await adoptRestoredLog(settings, folder)

  const byteWork = chooseByteWork(settings, stores, tables)
  const newMemtable = (): Memtable => new Memtable({ pool, shared: byteWork.sharesMemtables })
  const views = new ViewRegistry(newMemtable(), manifest.version)
  const ledger = new MemtableLedger({ account: memory, views, pool, maxSealedMemtables: settings.maxSealedMemtables })
  const versions = new VersionSet(manifests, manifest, {
    clock,
    random,
    onRetry: (error) => emit('error', { error, willRetry: true }),
    semantics: () => ({ keyspaces: keyspaces.records, ttlNowMs: time.nowMs() }),
    onCommitted: (committed, previous, edit) => {
      gc.committed(committed, previous, edit)
      origins.committed(committed, previous)
    },
  })
  const tableWriter = new TableWriter({ store: retrying, tables, clock, newId: () => newFileId(manifest.epoch, random) })
  // An instance of its own: reading an old manifest must not replace the base list that the next commit builds on.
  const history = new ManifestStore(stores.own, { clock, random })
  const collected = costs.store(stores.own, 'gc')
  const gc = new BackgroundCollector({
    ...settings,
    store: collected,
    account: costs.accounts.gc,
    manifests,
    history: new ManifestStore(collected, { clock, random }),
    versions,
    views,
    tables,
    tableWriter,
    onCollected: (report) => emit('gc', report),
    onFailed: (error) => emit('error', { error, willRetry: true }),
  })
  if (restore !== undefined && before !== undefined) gc.leftBehind(before.id)
  const origins = new OriginReleaser({
    databaseId: manifest.databaseId,
    store: costs.store(stores.own, 'release'),
    storeOf: (origin) => costs.store(stores.of(origin), 'release'),
    account: costs.accounts.release,
    versions,
    heldVersions: () => views.heldVersions(),
    readManifest: (id, reading) => history.read(id, reading, costs.accounts.release),
    clock,
    onFailed: (error) => emit('error', { error, willRetry: true }),
  })
  const recovery = { settings, store: retrying, manifests, manifest, versions, views, tableWriter, byteWork, rules, folder, newMemtable, memory, ledger, emit, account: costs.accounts[opening], signal }
  const { lastSeq, localWrites } = await recoverLogs(recovery).catch(async (error: unknown) => {
    // A flush of what was replayed may have started a thread.
    await byteWork.close()
    throw error
  })
  const log = await startLog({ settings, store: costs.store(stores.own, 'log'), folder, manifest, lastSeq })
  const engine: Engine = new Engine({
    settings,
    store,
    costs,
    stores,
    databaseId,
    keyspaces,
    time,
    snapshots,
    rules,
    versions,
    history,
    views,
    tables,
    tableWriter,
    gc,
    origins,
    byteWork,
    newMemtable,
    memory,
    ledger,
    log,
    lastSeq,
    emit,
    forgetReplayed: async () => {
      if (log !== undefined) await folder?.dropEpochsBelow(manifest.epoch)
      // A restore gives up the logs that were listed before it.
      const swept = settings.wal.kind === 'object-store' || manifest.walEpochs.length > 0 || restore !== undefined
      if (swept) await sweepStoreWal(costs.store(stores.own, 'log'), versions.current)
    },
    reopen: (plan, stop) => {
      costs.carry(engine.operations())
      return startEngine({ ...ground, keyspaces }, plan, stop)
    },
  })
  if (settings.wal.kind === 'object-store' && localWrites > 0) await flushReplayed(engine)
  return engine
}

/** INVALID when the settings contradict what the database remembers of its keyspaces. */
function declaredKeyspaces(settings: EngineSettings, before: Manifest | undefined): Keyspaces {
  const keyspaces = new Keyspaces(before?.keyspaces ?? [])
  for (const [name, declared] of settings.keyspaces) keyspaces.declare(name, declared)
  return keyspaces
}

async function flushReplayed(engine: Engine): Promise<void> {
  try {
    await engine.flush()
  } catch (error) {
    await engine.close().catch(() => {})
    throw error
  }
}
