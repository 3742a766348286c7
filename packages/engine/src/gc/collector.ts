import { isMoraineError, MoraineError } from '@moraine/base'
import type { ObjectInfo, ObjectStore, UnfinishedUpload } from '@moraine/object-store'
import { isLapsed, type ListedPin, listPins } from '../checkpoint/pins.ts'
import {
  BASE_PREFIX,
  BLOB_PREFIX,
  COMPACTION_PREFIX,
  epochOfFile,
  type FileId,
  parseDataName,
  parseJobObjectName,
  parseWalName,
  SST_PREFIX,
  WAL_PREFIX,
} from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { STORE_WAL_HEADER_BYTES } from '../wal/store-wal-segment.ts'
import {
  type CollectionFacts,
  type CollectionPlan,
  type CollectionRules,
  type DataObject,
  isOfOpenJob,
  type JobObject,
  keptManifests,
  type LeftUpload,
  type LogObject,
  planCollection,
} from './reachability.ts'
import { isOwed, readRoot } from './root-manifest.ts'

/** The owner, when it collects its own database. */
export interface CollectingOwner {
  /**
   * The newest manifest, which is the owner's own, and what it must not judge. Taken while no commit is under way and
   * after the store was asked whether the manifest is still the newest.
   */
  capture(): Promise<{ readonly newest: Manifest; readonly busy: ReadonlySet<FileId> }>
}

export interface CollectorOptions {
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  readonly rules: CollectionRules
  readonly owner?: CollectingOwner | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * A whole collection: lists everything, decides, deletes. The order, and the reason for each step:
 *
 *   1. List the data objects. First, so that an object of the owner's own epoch that is listed here has been registered
 *      as in flight, or was published, by the time step 2 looks.
 *   2. Read the newest manifest; the owner also captures, in the same moment, what it has in flight. Everything is
 *      judged by this manifest. If a new owner takes over from here on, its names are of a higher epoch and never touched.
 *   3. List the pins, after 2: whoever pins after this listing reads a manifest at least as new as ours, and all that it
 *      needs is reachable from ours. They are listed twice and both listings count, because a pinner may replace an open
 *      pin by an exact one while a listing runs, and one listing could show neither.
 *   4. List the manifests, and read those that checkpoints and pins keep. One that is gone means that its checkpoint or
 *      pin is gone too, in which case there is a newer manifest or another list of pins: start again. Otherwise stop.
 *   5. Decide: pure, `planCollection`.
 *   6. Delete manifests, then data, then lapsed leases: a crash in between leaves only more of what is garbage anyway,
 *      and never a manifest without its files other than those a crash found already superseded.
 *
 * Nothing here takes a lock: two collectors at once delete the same names, and deleting twice is the same as once.
 */
export async function planGarbage(options: CollectorOptions): Promise<CollectionPlan> {
  for (let attempt = 1; ; attempt++) {
    const facts = await gatherFacts(options)
    if ('facts' in facts) return planCollection(facts.facts, options.rules)
    if (attempt === ATTEMPTS) throw facts.missing
  }
}

/** A root may vanish between two steps because its checkpoint was deleted; hardly three times in a row. */
const ATTEMPTS = 3

const KEYS_PER_DELETE = 1000

/** Where data objects lie. */
const DATA_FOLDERS: readonly (readonly [prefix: string, kind: DataObject['kind']])[] = [
  [SST_PREFIX, 'table'],
  [BLOB_PREFIX, 'blob'],
  [BASE_PREFIX, 'base'],
]

/** Carries a plan out. CONFLICT when the plan has an objection. */
export async function deleteGarbage(
  plan: CollectionPlan,
  { store, manifests, signal }: Pick<CollectorOptions, 'store' | 'manifests' | 'signal'>,
): Promise<void> {
  if (plan.objection !== undefined) throw new MoraineError('CONFLICT', `nothing was collected: ${plan.objection}`)
  for (const ids of chunks(plan.manifests)) await manifests.delete(ids, signal)
  for (const objects of chunks(plan.objects)) {
    await store.deleteMany(
      objects.map(({ name }) => name),
      { signal },
    )
  }
  for (const log of chunks(plan.log)) {
    await store.deleteMany(
      log.map(({ name }) => name),
      { signal },
    )
  }
  for (const names of chunks(plan.jobObjects)) await store.deleteMany(names, { signal })
  for (const pins of chunks(plan.pins)) await store.deleteMany(pins, { signal })
  for (const { name, uploadId } of plan.uploads) await store.uploads?.abort({ key: name, uploadId }, { signal })
}

async function gatherFacts(
  options: CollectorOptions,
): Promise<{ readonly facts: CollectionFacts } | { readonly missing: MoraineError }> {
  const { store, manifests, owner, signal } = options
  const { objects, log, jobObjects, unknown } = await listData(store, signal)
  const captured = owner === undefined ? undefined : await owner.capture()
  const newest = captured?.newest ?? (await manifests.readNewest(signal))
  if (newest === undefined) throw new MoraineError('INVALID', `there is no database at ${store.url}`)
  const { pins, storeTimeMs } = await listPinsTwice(store, signal)
  const existing = await manifests.allIds(signal)
  const roots: Manifest[] = []
  for (const id of keptManifests(newest, pins, storeTimeMs, existing)) {
    const root = await readRoot(manifests, id, signal)
    if (!(root instanceof MoraineError)) roots.push(root)
    else if (isOwed(id, newest, pins)) return { missing: root }
  }
  return {
    facts: {
      objects,
      log,
      jobObjects,
      unknown,
      newest,
      owner: captured,
      pins,
      storeTimeMs,
      manifests: existing,
      roots,
      uploads: await listUploads(store, newest, captured?.busy, signal),
    },
  }
}

/** Pins of two listings; see step 3. The store's clock is that of the first, so that no renewal in between looks late. */
export async function listPinsTwice(
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<{ readonly pins: readonly ListedPin[]; readonly storeTimeMs: number }> {
  const first = await listPins(store, signal)
  const second = await listPins(store, signal)
  const pins = new Map<string, ListedPin>()
  for (const pin of [...first.pins, ...second.pins]) pins.set(pin.name, pin)
  return { pins: [...pins.values()], storeTimeMs: first.storeTimeMs }
}

/** The living pins among `pins`. */
export function livePins(pins: readonly ListedPin[], storeTimeMs: number): ListedPin[] {
  return pins.filter((pin) => !isLapsed(pin, storeTimeMs))
}

/** Every object below a prefix. */
export async function* listObjects(store: ObjectStore, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo> {
  let token: string | undefined
  do {
    const page = await store.list(prefix, { token, signal })
    yield* page.objects
    token = page.nextToken
  } while (token !== undefined)
}

async function listData(
  store: ObjectStore,
  signal: AbortSignal | undefined,
): Promise<Pick<CollectionFacts, 'objects' | 'log' | 'jobObjects' | 'unknown'>> {
  const objects: DataObject[] = []
  const log: LogObject[] = []
  const jobObjects: JobObject[] = []
  const unknown: string[] = []
  for (const [prefix, kind] of DATA_FOLDERS) {
    for await (const { key, sizeBytes, lastModifiedMs } of listObjects(store, prefix, signal)) {
      const id = parseDataName(key)
      if (id === undefined) unknown.push(key)
      else objects.push({ name: key, id, kind, sizeBytes, lastModifiedMs })
    }
  }
  for await (const { key, sizeBytes } of listObjects(store, WAL_PREFIX, signal)) {
    const parsed = parseWalName(key)
    if (parsed === undefined) unknown.push(key)
    // A fence is as short as a header, because a segment holds a record.
    else log.push({ name: key, epoch: parsed.epoch, sizeBytes, isFence: sizeBytes === STORE_WAL_HEADER_BYTES })
  }
  for await (const { key, lastModifiedMs } of listObjects(store, COMPACTION_PREFIX, signal)) {
    const parsed = parseJobObjectName(key)
    if (parsed === undefined) unknown.push(key)
    else jobObjects.push({ name: key, job: parsed.job, lastModifiedMs })
  }
  return { objects, log, jobObjects, unknown }
}

/** Uploads of data objects that were begun by an owner who is gone, or given up by this one. */
async function listUploads(
  store: ObjectStore,
  newest: Manifest,
  busy: ReadonlySet<FileId> | undefined,
  signal: AbortSignal | undefined,
): Promise<LeftUpload[]> {
  const left: LeftUpload[] = []
  for (const [prefix] of DATA_FOLDERS) {
    for (const { key, uploadId, begunAtMs } of await unfinishedUploads(store, prefix, signal)) {
      const id = parseDataName(key)
      if (id === undefined || busy?.has(id) === true || isOfOpenJob(newest, id)) continue
      const epoch = epochOfFile(id)
      if (epoch < newest.epoch || (busy !== undefined && epoch === newest.epoch)) left.push({ name: key, uploadId, begunAtMs })
    }
  }
  return left
}

/** A store that has no such list, or does not show it to these credentials, is cleaned of uploads by its own rules. */
async function unfinishedUploads(
  store: ObjectStore,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<readonly UnfinishedUpload[]> {
  try {
    return (await store.uploads?.list(prefix, { signal })) ?? []
  } catch (error) {
    if (isMoraineError(error, 'INVALID')) return []
    throw error
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const found: T[][] = []
  for (let at = 0; at < items.length; at += KEYS_PER_DELETE) found.push(items.slice(at, at + KEYS_PER_DELETE))
  return found
}
