import { hostname } from 'node:os'
import { MoraineError } from '@moraine/base'
import { CountingObjectStore, type ObjectStore, parseLocation, PrefixedObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { ObsoleteObjects } from '../gc/obsolete-objects.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { VersionSet } from '../manifest/version-set.ts'
import { ArenaPool } from '../memtable/arena.ts'
import { Memtable } from '../memtable/memtable.ts'
import { ViewRegistry } from '../read/read-view.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { TableStore } from '../table/table-store.ts'
import { TableWriter } from '../table/table-writer.ts'
import type { LocalWalFolder } from '../wal/local-wal-folder.ts'
import { chooseByteWork } from './choose-byte-work.ts'
import { Engine, type EngineLog } from './engine.ts'
import type { EmitEvent } from './engine-event.ts'
import type { EngineSettings } from './engine-settings.ts'
import { prepareLocalLog } from './local-log.ts'
import { replayLog } from './replay.ts'
import { takeOwnership } from './take-ownership.ts'

/** Where a database is: the bucket, folder or memory store, and the database's prefix in it. */
export interface DatabaseSite {
  readonly root: ObjectStore
  readonly prefix: string
}

/** The place of an origin that is not in the root: its requests are retried, but not counted as this database's. */
function openOrigin(url: string, settings: EngineSettings): ObjectStore {
  const { store, prefix } = parseLocation(url)
  return new PrefixedObjectStore(new RetryingObjectStore(store, settings), prefix)
}

/**
 * Opens a database for writing. Order, and the reason for each step:
 *
 *   1. Read the newest manifest; check the log folder's lineage. A refusal happens here, before anybody is fenced.
 *   2. Commit the next epoch. From here on no older owner can commit; the state we start from is our own manifest.
 *   3. Take the log folder over. From here on no older owner can acknowledge into it.
 *   4. Replay the log above the manifest's flushed sequence number.
 *   5. Start the log's writer, then everything else.
 *
 * A crash between any two of them leaves the log where it is, under the id that the manifest names, and the next opening
 * replays it again.
 */
export async function openEngine(
  site: DatabaseSite,
  settings: EngineSettings,
  emit: EmitEvent,
  signal?: AbortSignal,
): Promise<Engine> {
  const { clock, random } = settings
  const store = new CountingObjectStore(site.root, { clock })
  const stores = new OriginStores(new RetryingObjectStore(store, settings), site.prefix, (url) => openOrigin(url, settings))
  const retrying = stores.own
  const manifests = new ManifestStore(retrying, { clock, random })
  let folder: LocalWalFolder | undefined
  const { manifest } = await takeOwnership({
    store: retrying,
    manifests,
    takeover: settings.takeover,
    createIfMissing: settings.createIfMissing,
    owner: `process ${process.pid} on ${hostname()}`,
    clock,
    random,
    signal,
    prepareLog: async (before, databaseId) => {
      folder = await prepareLocalLog(settings, before, databaseId)
      return folder?.walId
    },
  })

  const tables = new TableStore((origin) => stores.of(origin), settings)
  const byteWork = chooseByteWork(settings, stores, tables)
  const pool = new ArenaPool(settings.memtableSizeBytes * 2)
  const newMemtable = (): Memtable => new Memtable({ pool, shared: byteWork.sharesMemtables })
  const replayed = await recoverLog(folder, manifest, newMemtable)
  const log = folder === undefined ? undefined : await startLog(folder, settings, manifest, replayed.lastSeq)

  const views = new ViewRegistry(replayed.active, manifest.version)
  if (replayed.sealed.length > 0) views.install({ sealed: replayed.sealed })
  const versions = new VersionSet(manifests, manifest, {
    clock,
    random,
    onRetry: (error) => emit('error', { error, willRetry: true }),
  })
  const tableWriter = new TableWriter({ store: retrying, tables, epoch: manifest.epoch, clock, random })
  const obsolete = new ObsoleteObjects({
    store: retrying,
    manifests,
    tables,
    firstManifest: manifest.id,
    hasCheckpoints: () => versions.current.checkpoints.length > 0,
    onFailed: (error) => {
      if (error instanceof MoraineError) emit('error', { error, willRetry: true })
    },
  })
  return new Engine({
    settings,
    store,
    stores,
    databaseId: manifest.databaseId,
    versions,
    // An instance of its own: reading an old manifest must not replace the base list that the next commit builds on.
    history: new ManifestStore(retrying, { clock, random }),
    views,
    tables,
    tableWriter,
    obsolete,
    byteWork,
    newMemtable,
    log,
    lastSeq: replayed.lastSeq,
    emit,
  })
}

interface Replayed {
  readonly active: Memtable
  /** Newest first. */
  readonly sealed: readonly Memtable[]
  readonly lastSeq: number
}

/** Memtables with what the log holds above the manifest. */
async function recoverLog(folder: LocalWalFolder | undefined, manifest: Manifest, newMemtable: () => Memtable): Promise<Replayed> {
  let active = newMemtable()
  const sealed: Memtable[] = []
  if (folder === undefined) return { active, sealed, lastSeq: manifest.lastSeq }
  await folder.fence(manifest.epoch)
  const { lastSeq } = await replayLog(folder.replay(manifest.flushedSeq), manifest.flushedSeq, {
    active: () => active,
    afterRecord: () => {
      if (active.memoryBytes < REPLAY_MEMTABLE_BYTES) return undefined
      sealed.unshift(active)
      active = newMemtable()
      return undefined
    },
  })
  return { active, sealed, lastSeq: Math.max(manifest.lastSeq, lastSeq) }
}

/** The log of a memtable's worth of writes is a few of these; flushed one by one once the engine runs. */
const REPLAY_MEMTABLE_BYTES = 64 * 1024 * 1024

async function startLog(
  folder: LocalWalFolder,
  settings: EngineSettings,
  manifest: Manifest,
  lastSeq: number,
): Promise<EngineLog | undefined> {
  const { wal, clock } = settings
  if (wal.kind === 'none') return undefined
  const { sync, syncIntervalMs } = wal
  const writer = await folder.startWriter({ epoch: manifest.epoch, firstSeq: lastSeq + 1, sync, syncIntervalMs, clock })
  return {
    append: (firstSeq, count, payload) => writer.append(firstSeq, count, payload),
    rotate: () => writer.rotate(),
    release: (flushedSeq) => writer.release(flushedSeq),
    close: () => writer.close(),
    forgetReplayed: () => folder.dropEpochsBelow(manifest.epoch),
  }
}
