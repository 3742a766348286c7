import type { ListedPin } from '../checkpoint/pins.ts'
import { isLapsed, protects } from '../checkpoint/pins.ts'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { epochOfFile, epochOfJob, type FileId, type JobId, jobOfFile } from '../layout/object-names.ts'
import { type Manifest, openJobs } from '../manifest/manifest.ts'
import { blobIdsOf } from '../manifest/blob-files.ts'
import { filesOf } from '../manifest/version.ts'

/** An object under `sst/`, `blob/` or `base/`. */
export interface DataObject {
  readonly name: string
  readonly id: FileId
  readonly kind: 'table' | 'blob' | 'base'
  readonly sizeBytes: number
  /** The store's own time of the last write. */
  readonly lastModifiedMs: number
}

/** A segment of a log in the store, or the fence that ended one. */
export interface LogObject {
  readonly name: string
  readonly epoch: Epoch
  readonly sizeBytes: number
  readonly isFence: boolean
}

/** A claim, heartbeat or result of a remote compaction. */
export interface JobObject {
  readonly name: string
  readonly job: JobId
  readonly lastModifiedMs: number
}

/** A multipart upload that was begun and neither completed nor aborted. */
export interface LeftUpload {
  readonly name: string
  readonly uploadId: string
  readonly begunAtMs: number
}

/** What a collector found, in the order in which it must look: see `collector.ts`. */
export interface CollectionFacts {
  readonly objects: readonly DataObject[]
  readonly log: readonly LogObject[]
  readonly jobObjects: readonly JobObject[]
  /** Names in the database's folders that are nobody's we know: never touched. */
  readonly unknown: readonly string[]
  readonly newest: Manifest
  /** Set when the owner itself collects. */
  readonly owner?: OwnerFacts | undefined
  readonly pins: readonly ListedPin[]
  /** The store's clock when the pins were listed. */
  readonly storeTimeMs: number
  /** Every manifest that exists. */
  readonly manifests: readonly ManifestId[]
  /** The manifests that `keptManifests` names, read. */
  readonly roots: readonly Manifest[]
  readonly uploads: readonly LeftUpload[]
}

export interface OwnerFacts {
  /** Uploads in flight, base objects of a commit that is not settled, and tables that a read of this process uses. */
  readonly busy: ReadonlySet<FileId>
}

export interface CollectionRules {
  /** Younger objects, by the store's clock, stay. */
  readonly graceMs: number
  /** Deletes even an implausible share of the files. */
  readonly force: boolean
}

/** What is to be deleted, and how much stays for which reason. */
export interface CollectionPlan {
  readonly newestManifest: ManifestId
  readonly epoch: Epoch
  readonly manifests: readonly ManifestId[]
  readonly objects: readonly DataObject[]
  /** Log segments of former owners that no manifest needs. */
  readonly log: readonly LogObject[]
  /** Names of what closed jobs of remote compaction left. */
  readonly jobObjects: readonly string[]
  /** Names of lapsed leases. */
  readonly pins: readonly string[]
  readonly uploads: readonly LeftUpload[]
  readonly kept: {
    /** Objects that the newest manifest, a checkpoint or a pin needs. */
    readonly reachable: number
    /** Unreachable objects that may be a newer owner's, or that this owner still uses. */
    readonly inUse: number
    /** Unreachable objects within the grace period. */
    readonly young: number
    readonly manifests: number
    readonly pins: number
  }
  readonly unknown: readonly string[]
  /** Why this plan looks wrong; only `force` carries it out. */
  readonly objection: string | undefined
}

/**
 * Superseded manifests that stay: for people who look, and for openers that listed just before a commit. Nothing
 * depends on them: an opener that finds its manifest gone lists again.
 */
export const MANIFESTS_KEPT = 16

/** A plan that deletes more than this share of all files needs `force`, unless there are only a few. */
const PLAUSIBLE_SHARE = 0.5
const PLAUSIBLE_COUNT = 32

/** The manifests that checkpoints and living pins keep, apart from the newest one and those after it. */
export function keptManifests(
  newest: Manifest,
  pins: readonly ListedPin[],
  storeTimeMs: number,
  existing: readonly ManifestId[],
): Set<ManifestId> {
  const kept = new Set<ManifestId>(newest.checkpoints.map((checkpoint) => checkpoint.manifestId))
  for (const pin of pins) {
    if (isLapsed(pin, storeTimeMs)) continue
    if (pin.scope === 'only') kept.add(pin.manifestId)
    else for (const id of existing) if (protects(pin, id)) kept.add(id)
  }
  for (const id of kept) if (id >= newest.id) kept.delete(id)
  return kept
}

/**
 * The data objects that a manifest needs. Files of other origins are included: their names are as unique, and holding
 * too much never hurts.
 */
export function* filesKeptBy(manifest: Pick<Manifest, 'version' | 'base'>): Generator<FileId> {
  for (const file of filesOf(manifest.version)) yield file.id
  yield* blobIdsOf(manifest.version)
  if (manifest.base !== undefined) yield manifest.base.id
}

/**
 * Decides what is garbage. Why it is safe: whatever a later manifest will name is reachable from the newest one read, or
 * was uploaded by its owner or a later one. Names of epochs below the newest manifest's are nobody's uploads any more,
 * since their owner can commit nothing; so of those, what is not reachable now never will be. Names of the newest epoch
 * are judged by their owner only, which knows what it has in flight; names of higher epochs by nobody. What a remote
 * compactor makes has names of the owner's epoch and of its job, and is in use for as long as the manifest lists the job.
 */
export function planCollection(facts: CollectionFacts, rules: CollectionRules): CollectionPlan {
  const { newest, owner, storeTimeMs } = facts
  const reachable = new Set<FileId>(filesKeptBy(newest))
  for (const root of facts.roots) for (const id of filesKeptBy(root)) reachable.add(id)
  const youngestMs = storeTimeMs - rules.graceMs
  const kept = { reachable: 0, inUse: 0, young: 0, manifests: 0, pins: 0 }

  const mayJudge = (id: FileId): boolean => {
    const epoch = epochOfFile(id)
    if (owner?.busy.has(id) === true || isOfOpenJob(newest, id)) return false
    return epoch < newest.epoch || (owner !== undefined && epoch === newest.epoch)
  }
  const objects = facts.objects.filter((object) => {
    if (reachable.has(object.id)) kept.reachable++
    else if (!mayJudge(object.id)) kept.inUse++
    else if (object.lastModifiedMs > youngestMs) kept.young++
    else return true
    return false
  })

  const rooted = keptManifests(newest, facts.pins, storeTimeMs, facts.manifests)
  const manifests = facts.manifests.filter((id) => id < newest.id - MANIFESTS_KEPT && !rooted.has(id))
  kept.manifests = facts.manifests.length - manifests.length
  const pins = facts.pins.filter((pin) => isLapsed(pin, storeTimeMs)).map((pin) => pin.name)
  kept.pins = facts.pins.length - pins.length

  // A fence is never garbage: see store-wal-takeover.ts.
  const logged = new Set<Epoch>([newest, ...facts.roots].flatMap(({ walEpochs }) => walEpochs.map(({ epoch }) => epoch)))
  const log = facts.log.filter(({ epoch, isFence }) => epoch < newest.epoch && !isFence && !logged.has(epoch))

  const open = new Set(openJobs(newest).map(({ id }) => id))
  const jobObjects = facts.jobObjects.filter(({ job, lastModifiedMs }) => {
    const epoch = epochOfJob(job)
    const mine = epoch < newest.epoch || (owner !== undefined && epoch === newest.epoch)
    return mine && !open.has(job) && lastModifiedMs <= youngestMs
  })

  const uploads = facts.uploads.filter(({ begunAtMs }) => begunAtMs <= youngestMs)
  return {
    newestManifest: newest.id,
    epoch: newest.epoch,
    manifests,
    objects,
    log,
    jobObjects: jobObjects.map(({ name }) => name),
    pins,
    uploads,
    kept,
    unknown: facts.unknown,
    objection: rules.force ? undefined : objectionTo(objects, facts.objects),
  }
}

/** True for what a remote compactor makes, or may be making, while its result may still be committed. */
export function isOfOpenJob(newest: Manifest, id: FileId): boolean {
  return newest.jobs.length > 0 && openJobs(newest).some((job) => job.id === jobOfFile(id))
}

function objectionTo(garbage: readonly DataObject[], all: readonly DataObject[]): string | undefined {
  if (garbage.length <= PLAUSIBLE_COUNT || garbage.length <= all.length * PLAUSIBLE_SHARE) return undefined
  return `${garbage.length} of ${all.length} files would be deleted, which is more than half; look at the plan (dryRun), then collect with force`
}
