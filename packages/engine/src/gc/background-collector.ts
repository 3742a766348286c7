import { type Clock, isMoraineError, MoraineError, SerialQueue, type Timer } from '@moraine/base'
import type { ObjectStore, RequestAccount, RequestCost, RequestTally } from '@moraine/object-store'
import type { ManifestId } from '../layout/numbers.ts'
import { baseName, blobName, type FileId, sstName } from '../layout/object-names.ts'
import { blobIdsOf } from '../manifest/blob-files.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { NO_BLOBS } from '../manifest/blob-link.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { filesOf } from '../manifest/version.ts'
import type { VersionEdit } from '../manifest/version-edit.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { TableStore } from '../table/table-store.ts'
import type { TableWriter } from '../table/table-writer.ts'
import { type CollectionReport, countFiles, reportOf } from './collection-report.ts'
import { type CollectingOwner, deleteGarbage, listPinsTwice, livePins, planGarbage } from './collector.ts'
import { type DataObject, filesKeptBy, MANIFESTS_KEPT } from './reachability.ts'
import { RootFiles } from './root-files.ts'
import { isOwed } from './root-manifest.ts'

/**
 * Superseded manifests are deleted whenever a manifest's number divides by this. It is the number that counts and not the
 * commits of one process, because a database may have many short-lived owners.
 */
const MANIFESTS_PER_DELETE = 64

/** What a collection behind the owner's back deleted, and what it took. */
export interface CollectedReport extends CollectionReport {
  readonly cost: RequestCost
}

/** What a database has collected since it was opened. */
export interface GcStats {
  readonly deletedTables: number
  readonly deletedBlobFiles: number
  readonly deletedManifests: number
  /** Bytes of tables, blob files and base objects. */
  readonly deletedBytes: number
  /** Replaced files that a checkpoint or a pin still keeps. */
  readonly keptFiles: number
  readonly keptBytes: number
  readonly sweeps: number
}

export interface BackgroundCollectorOptions {
  /** Charges everything to `account`, and so does `history`. */
  readonly store: ObjectStore
  readonly account: RequestAccount
  /** The one that commits. */
  readonly manifests: ManifestStore
  /** Another, for old manifests: reading them must not replace the base list that the next commit builds on. */
  readonly history: ManifestStore
  readonly versions: VersionSet
  readonly views: ViewRegistry
  readonly tables: TableStore
  readonly tableWriter: TableWriter
  readonly clock: Clock
  /** How often a writer that has committed something looks for orphans; 0 for never. */
  readonly gcIntervalMs: number
  readonly gcGraceMs: number
  readonly onCollected: (report: CollectedReport) => void
  /** Garbage stays for another time. */
  readonly onFailed: (error: MoraineError) => void
}

/** A file that left the current version. */
interface Candidate {
  readonly name: string
  readonly sizeBytes: number
  readonly kind: DataObject['kind']
  /** The first manifest that is known not to name it. */
  readonly goneSince: ManifestId
}

/**
 * Collects behind the owner's back, at little cost: no request while nothing is replaced, and then one look at the pins
 * (see `collector.ts` for why it is two listings) and one deletion for all that has come together.
 *
 * Candidates are files that the owner's own commits replaced, and those of deleted checkpoints. A candidate that is gone
 * since manifest n is needed by an open pin below n, and by an exact pin or a checkpoint of a manifest below n that
 * names it; everything of this process that reads has let go of it before it became a candidate, or is asked. What is
 * kept is looked at again with the next candidates.
 *
 * Orphans of crashes are left to `sweep`.
 */
export class BackgroundCollector {
  readonly #options: BackgroundCollectorOptions
  readonly #roots: RootFiles
  readonly #turns = new SerialQueue()
  readonly #abort = new AbortController()
  readonly #candidates = new Map<FileId, Candidate>()
  /** Manifests of checkpoints that were deleted: their files are still to become candidates. */
  readonly #dropped = new Set<ManifestId>()
  /** Superseded manifests are to be deleted with the next collection. */
  #manifestsDue = false
  #queued = false
  #sweptManifest: ManifestId | undefined
  #timer: Timer | undefined
  #deletedTables = 0
  #deletedBlobFiles = 0
  #deletedManifests = 0
  #deletedBytes = 0
  #sweeps = 0

  constructor(options: BackgroundCollectorOptions) {
    this.#options = options
    this.#roots = new RootFiles(options.history)
    if (options.versions.current.id % MANIFESTS_PER_DELETE === 0) {
      this.#manifestsDue = true
      this.#kick()
    }
    if (options.gcIntervalMs > 0) this.#armSweep()
  }

  /** These tables are in no version that anybody in this process reads. */
  tablesRetired(files: readonly TableFile[]): void {
    const { tables, versions } = this.#options
    const goneSince = versions.current.id
    const left = files.some(({ blobs }) => blobs !== undefined) ? this.#blobsInUse() : NONE
    let added = false
    for (const file of files) {
      tables.forget(file.id)
      added = this.#addCandidates(file, goneSince, left) || added
    }
    if (added) this.#kick()
  }

  /** A table that went, and the blob files that nothing else refers to. What another database wrote is for its own collector. */
  #addCandidates({ id, origin, sizeBytes, blobs = NO_BLOBS }: TableFile, goneSince: ManifestId, left: ReadonlySet<FileId>): boolean {
    const known = this.#candidates.size
    if (origin === undefined) this.#candidates.set(id, { name: sstName(id), sizeBytes, kind: 'table', goneSince })
    for (const link of blobs) {
      if (link.origin !== undefined || left.has(link.id)) continue
      this.#candidates.set(link.id, { name: blobName(link.id), sizeBytes: link.sizeBytes, kind: 'blob', goneSince })
    }
    return this.#candidates.size > known
  }

  /** A manifest was committed. */
  committed(manifest: Manifest, before: Manifest, edit: VersionEdit | undefined): void {
    // A restored checkpoint brings files back.
    if (this.#candidates.size > 0) {
      for (const { file } of edit?.added ?? []) {
        this.#candidates.delete(file.id)
        for (const { id } of file.blobs ?? []) this.#candidates.delete(id)
      }
    }
    if (before.base !== undefined && before.base.id !== manifest.base?.id) {
      const { id, sizeBytes } = before.base
      this.#candidates.set(id, { name: baseName(id), sizeBytes, kind: 'base', goneSince: manifest.id })
    }
    const listed = new Set(manifest.checkpoints.map(({ manifestId }) => manifestId))
    if (listed.has(manifest.id)) this.#roots.remember(manifest)
    for (const { manifestId } of before.checkpoints) if (!listed.has(manifestId)) this.#dropped.add(manifestId)
    if (manifest.id % MANIFESTS_PER_DELETE === 0 || this.#dropped.size > 0) {
      this.#manifestsDue = true
      this.#kick()
    }
  }

  /** The owner went from this manifest to an older state: what only this one names may go, with the next commit. */
  leftBehind(id: ManifestId): void {
    this.#dropped.add(id)
  }

  stats(): GcStats {
    return {
      deletedTables: this.#deletedTables,
      deletedBlobFiles: this.#deletedBlobFiles,
      deletedManifests: this.#deletedManifests,
      deletedBytes: this.#deletedBytes,
      keptFiles: this.#candidates.size,
      keptBytes: [...this.#candidates.values()].reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0),
      sweeps: this.#sweeps,
    }
  }

  /** Deletes everything that nothing refers to, also what earlier owners left. */
  sweep(signal: AbortSignal = this.#abort.signal): Promise<CollectedReport> {
    return this.#turns.run(async () => {
      const { store, history, versions, account, gcGraceMs } = this.#options
      const before = account.tally()
      const sweptManifest = versions.current.id
      const owner: CollectingOwner = {
        capture: () => versions.betweenCommits((newest) => ({ newest, busy: this.#busy() }), signal, account),
      }
      const plan = await planGarbage({ store, manifests: history, owner, rules: { graceMs: gcGraceMs, force: false }, signal })
      await deleteGarbage(plan, { store, manifests: history, signal })
      for (const { id } of plan.objects) this.#candidates.delete(id)
      this.#sweptManifest = sweptManifest
      this.#sweeps++
      return this.#reported(reportOf(plan), before)
    })
  }

  /** Resolves when every deletion under way has ended. */
  drained(): Promise<void> {
    return this.#turns.drained()
  }

  /** Sets no more timers; what the owner has replaced is still deleted. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Ends what is under way and starts nothing new. */
  abandon(reason: unknown): void {
    this.stop()
    this.#abort.abort(reason)
  }

  #kick(): void {
    if (this.#queued || this.#abort.signal.aborted) return
    this.#queued = true
    this.#turns
      .run(() => {
        this.#queued = false
        return this.#collect()
      })
      .catch((error: unknown) => this.#failed(error))
  }

  async #collect(): Promise<void> {
    const { store, history, versions, account } = this.#options
    const before = account.tally()
    const { signal } = this.#abort
    // Everything below is judged by this manifest; the pins are listed after it.
    const newest = versions.current
    const { pins, storeTimeMs } = await listPinsTwice(store, signal)
    const living = livePins(pins, storeTimeMs)
    const lapsed = pins.filter((pin) => !living.includes(pin)).map(({ name }) => name)
    const openFrom = Math.min(...living.filter(({ scope }) => scope === 'from').map(({ manifestId }) => manifestId))
    const exact = living.filter(({ scope, manifestId }) => scope === 'only' && manifestId < newest.id)
    const roots = new Set<ManifestId>([...newest.checkpoints, ...exact].map(({ manifestId }) => manifestId))

    await this.#addDropped(newest, signal)
    const garbage = new Map([...this.#candidates].filter(([, { goneSince }]) => goneSince <= newest.id && goneSince <= openFrom))
    for (const id of filesInUse(newest, this.#busy())) garbage.delete(id)
    for (const root of roots) {
      if (garbage.size === 0) break
      const needed = await this.#roots.of(root, signal)
      if (!(needed instanceof MoraineError)) for (const id of garbage.keys()) if (needed.has(id)) garbage.delete(id)
      if (needed instanceof MoraineError && isOwed(root, newest, living)) throw needed
    }
    this.#roots.retain(roots, newest.id)

    const doomed = await this.#supersededManifests(newest, (id) => id >= openFrom || roots.has(id), signal)
    if (doomed.length > 0) await history.delete(doomed, signal)
    const names = [...[...garbage.values()].map(({ name }) => name), ...lapsed]
    if (names.length > 0) await store.deleteMany(names, { signal })
    for (const id of garbage.keys()) this.#candidates.delete(id)
    if (names.length === 0 && doomed.length === 0) return
    const report: CollectionReport = {
      kind: 'retired',
      ...countFiles([...garbage.values()]),
      manifests: doomed.length,
      logSegments: 0,
      jobObjects: 0,
      pins: lapsed.length,
      uploads: 0,
    }
    this.#reported(report, before)
  }

  async #supersededManifests(newest: Manifest, isKept: (id: ManifestId) => boolean, signal: AbortSignal): Promise<ManifestId[]> {
    if (!this.#manifestsDue) return []
    const existing = await this.#options.history.allIds(signal)
    this.#manifestsDue = false
    return existing.filter((id) => id < newest.id - MANIFESTS_KEPT && !isKept(id))
  }

  /** Makes the files of deleted checkpoints candidates. */
  async #addDropped(newest: Manifest, signal: AbortSignal): Promise<void> {
    for (const id of this.#dropped) {
      const manifest = await this.#options.history.read(id, signal)
      this.#dropped.delete(id)
      if (manifest === undefined) continue
      for (const file of filesOf(manifest.version)) {
        if (!this.#candidates.has(file.id)) this.#addCandidates(file, newest.id, NONE)
      }
      if (manifest.base !== undefined) {
        const { id: base, sizeBytes } = manifest.base
        this.#candidates.set(base, { name: baseName(base), sizeBytes, kind: 'base', goneSince: newest.id })
      }
    }
    // What the current version has is no candidate, however it got there.
    for (const id of filesInUse(newest, NONE)) this.#candidates.delete(id)
  }

  /** Blob files that other tables, of the present or of a read under way, refer to: those will retire them. */
  #blobsInUse(): Set<FileId> {
    const { versions, views } = this.#options
    return new Set([versions.current.version, ...views.heldVersions()].flatMap((version) => [...blobIdsOf(version)]))
  }

  /** What only this process knows to be in use. */
  #busy(): Set<FileId> {
    const { tableWriter, manifests, views } = this.#options
    const busy = new Set([...tableWriter.unpublished, ...manifests.unsettledBases])
    for (const version of views.heldVersions()) for (const id of filesKeptBy({ version, base: undefined })) busy.add(id)
    return busy
  }

  /** Collections run one at a time, so what was charged since the beginning of this one is its own. */
  #reported(collected: CollectionReport, before: RequestTally): CollectedReport {
    const report = { ...collected, cost: this.#options.account.cost(before) }
    this.#deletedTables += report.tables
    this.#deletedBlobFiles += report.blobs
    this.#deletedManifests += report.manifests
    this.#deletedBytes += report.sizeBytes
    this.#options.onCollected(report)
    return report
  }

  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return
    const known = isMoraineError(error) ? error : new MoraineError('INTERNAL', 'a defect stopped a collection', { cause: error })
    this.#options.onFailed(known)
  }

  #armSweep(): void {
    this.#timer = this.#options.clock.setTimer(
      this.#options.gcIntervalMs,
      () => {
        void this.#sweepIfChanged().finally(() => {
          if (this.#timer !== undefined) this.#armSweep()
        })
      },
      { unref: true },
    )
  }

  async #sweepIfChanged(): Promise<void> {
    if (this.#options.versions.current.id === this.#sweptManifest) return
    await this.sweep().catch((error: unknown) => this.#failed(error))
  }
}

const NONE: ReadonlySet<FileId> = new Set()

function* filesInUse(newest: Manifest, busy: ReadonlySet<FileId>): Generator<FileId> {
  yield* filesKeptBy(newest)
  yield* busy
}
