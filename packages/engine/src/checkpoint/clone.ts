import { type Clock, isMoraineError, MoraineError, type Random, randomHex, toHex } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { KeyRange } from '../key/key-range.ts'
import { type Epoch, FIRST_MANIFEST, type ManifestId } from '../layout/numbers.ts'
import { claimIdentity, type Identity, readIdentity, surveyPrefix } from '../manifest/identity.ts'
import { liveCheckpoints } from '../manifest/live-checkpoints.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import type { OriginPin, OriginPlace } from '../manifest/origin.ts'
import { countFiles, filesOf } from '../manifest/version.ts'
import { missingManifest } from './checkpoints.ts'
import { ClonePins } from './clone-pins.ts'
import { findListedCheckpoint } from './find-listed-checkpoint.ts'
import { project } from './projection.ts'
import { type ClonePlan, unite } from './union.ts'

/**
 * Clone, projection and union: a new database whose first manifest names tables of others. Nothing is copied. Order, and
 * the reason for each step:
 *
 *   1. Read the newest manifest of every source, and look at the target. All refusals that can be known come before
 *      anything is written.
 *   2. Create the target's identity, which says what it will be a clone of. From here on a cut-off clone is known for
 *      what it is: `open` refuses it, the same request finishes it, `destroy` removes it. The pins that follow carry
 *      the target's database id in their names, so none of them is ever without somebody to let go of it.
 *   3. Pin every origin of every table, each directly: the sources, and what the sources borrow from. A source may
 *      let go of its own origins at any later time, so relying on its pins would lose files (pitfall 35).
 *   4. Only now look whether the sources' newest manifests are still those of step 1. Then they were protected without
 *      a gap: a collector deletes what an older manifest names only after it has read a newer one, and whoever
 *      reads one from now on lists pins after that and sees ours. For the same reason a source has not let go of any of
 *      its origins either: it does so only after a commit that names nothing of them any more.
 *      (A checkpoint that was taken from outside is a pin, and is looked for by its name.)
 *      When a source has moved on, it is pinned open-ended from its newest manifest, so that it cannot move away again;
 *      steps 1 and 3 are repeated, and of what it borrows it is asked whether its own pins still stand after ours do.
 *   5. Delete the pins of this attempt that are not needed: they would hold later garbage.
 *   6. Create the target's first manifest, which records the pins. This is the moment the clone comes to be.
 *   7. When an earlier attempt was cut off, delete the pins it left: the first manifest is there, so no other attempt
 *      can ever come to need them. Nobody deletes another attempt's pins before.
 *
 * Cut off before 6, the target is an identity and perhaps pins in the sources; after it, a database. The sources are
 * never written to, but for pins.
 */
export interface CloneRequest {
  readonly sources: readonly CloneSource[]
  readonly target: ObjectStore
  /** The prefix of a place as a store. */
  readonly storeAt: (place: OriginPlace) => ObjectStore
  /** Whether the target's store has to prove first that it honours create-if-absent. */
  readonly probe: boolean
  /** Who makes the clone, for messages. */
  readonly owner: string
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

export interface CloneSource {
  /** For messages. */
  readonly name: string
  /** Where it is, seen from the target. */
  readonly place: OriginPlace
  /** Where its own origins are, seen from the target. */
  readonly translate: (place: OriginPlace) => OriginPlace
  /** Id or name of a checkpoint; undefined for the newest flushed state. */
  readonly checkpoint: string | undefined
  readonly range: KeyRange | undefined
}

/** What a clone is made of. */
export interface CloneReport {
  readonly databaseId: string
  /** Tables that it borrows, and their size as whole files. Nothing of them was copied. */
  readonly tables: number
  readonly sizeBytes: number
  /** The databases that it has pinned, and at which of their manifests. */
  readonly origins: readonly { readonly databaseId: string; readonly place: OriginPlace; readonly manifestId: number }[]
}

/** A source's state as it was read. */
interface Reading {
  /** The newest manifest's number at that time. */
  readonly newestId: ManifestId
  readonly checkpointId: string | undefined
  /** The pin that a checkpoint taken from outside is. */
  readonly heldBy: { readonly store: ObjectStore; readonly pin: string } | undefined
  /** The state to clone. */
  readonly manifest: Manifest
}

export async function cloneDatabases(request: CloneRequest): Promise<CloneReport> {
  const { sources, target, signal } = request
  const [survey, ...first] = await Promise.all([
    surveyPrefix(target, signal),
    ...sources.map((source) => readSource(request, source)),
  ])
  const asked = spellRequest(sources, first)
  const plan = planOf(sources, first)
  if (survey === 'database') return await finishedBefore(request, asked, plan)

  const { identity, resumed } = await claimTarget(request, asked, survey)
  const pins = new ClonePins(identity.databaseId, request)
  let settled: { plan: ClonePlan; origins: OriginPin[] }
  try {
    settled = await pinAll(request, pins, first, plan)
  } catch (error) {
    await pins.releaseAll()
    throw error
  }
  const manifest = firstManifest(request, identity, settled.plan, settled.origins)
  try {
    await createFirst(request, pins, manifest)
  } catch (error) {
    throw isMoraineError(error, 'ABORTED') ? perhapsMade(error, target) : error
  }
  if (resumed) await pins.sweep(placesOf(request, manifest.origins), manifest.origins)
  return reportOf(manifest)
}

async function readSource({ storeAt, signal, ...options }: CloneRequest, source: CloneSource): Promise<Reading> {
  const manifests = new ManifestStore(storeAt(source.place), options)
  const newest = await manifests.readNewest(signal)
  if (newest === undefined) throw new MoraineError('INVALID', `there is no database at ${source.name} to clone`)
  if (source.checkpoint === undefined) return { newestId: newest.id, checkpointId: undefined, heldBy: undefined, manifest: newest }
  const own = storeAt(source.place)
  const listed = { ...newest, checkpoints: liveCheckpoints(newest.checkpoints, options.clock.nowMs()) }
  const { checkpoint, pin } = await findListedCheckpoint(own, listed, source.checkpoint, signal)
  const manifest = await manifests.read(checkpoint.manifestId, signal)
  if (manifest === undefined) throw missingManifest(checkpoint)
  const heldBy = pin === undefined ? undefined : { store: own, pin: pin.name }
  return { newestId: newest.id, checkpointId: checkpoint.id, heldBy, manifest }
}

function planOf(sources: readonly CloneSource[], readings: readonly Reading[]): ClonePlan {
  return unite(sources.map((source, i) => project({ ...source, manifest: (readings[i] as Reading).manifest })))
}

/** The request as text that is equal for equal requests: the same databases, checkpoints and ranges, in one order. */
function spellRequest(sources: readonly CloneSource[], readings: readonly Reading[]): string {
  return JSON.stringify(
    sources.map(({ place, range }, i) => {
      const { manifest, checkpointId } = readings[i] as Reading
      const bound = (key: Uint8Array | undefined): string | undefined => (key === undefined ? undefined : toHex(key))
      return { databaseId: manifest.databaseId, place, checkpointId, gte: bound(range?.gte), lt: bound(range?.lt) }
    }),
  )
}

/** Where the sources of a request are, out of the text that an identity holds. */
export function askedPlaces(text: string): OriginPlace[] {
  return (JSON.parse(text) as { place: OriginPlace }[]).map(({ place }) => place)
}

async function claimTarget(
  request: CloneRequest,
  asked: string,
  survey: 'nothing' | 'identity',
): Promise<{ identity: Identity; resumed: boolean }> {
  const { target, random, clock, signal } = request
  const existing = survey === 'identity' ? await readIdentity(target, signal) : undefined
  const mine: Identity = { databaseId: randomHex(random, 16), createdAtMs: clock.nowMs(), clone: asked }
  const identity = existing ?? (await claimIdentity(target, mine, request))
  if (identity.clone === asked) return { identity, resumed: identity !== mine }
  throw new MoraineError(
    'INVALID',
    identity.clone === undefined
      ? 'another database is being created at the target; choose an empty prefix'
      : 'another clone was begun at the target and not finished: finish it by the same request, destroy the location, or choose an empty prefix',
    { detail: { databaseId: identity.databaseId, clone: identity.clone } },
  )
}

/** Steps 3 to 5. */
async function pinAll(
  request: CloneRequest,
  pins: ClonePins,
  first: readonly Reading[],
  firstPlan: ClonePlan,
): Promise<{ plan: ClonePlan; origins: OriginPin[] }> {
  const { sources, storeAt, signal } = request
  let readings = first
  let plan = firstPlan
  await pins.hold(plan.needs)
  const newest = await Promise.all(
    sources.map((source) => new ManifestStore(storeAt(source.place), request).newestId(signal)),
  )
  let moved = newest.some((id, i) => id !== readings[i]?.newestId) || !(await stillPinned(readings, signal))
  while (moved) {
    await pins.guard(sources.map(({ place }, i) => ({ place, from: newest[i] ?? readings[i]?.newestId })))
    const earlier = readings
    readings = await Promise.all(sources.map((source) => readSource(request, source)))
    plan = planOf(sources, readings)
    await pins.hold(plan.needs)
    // A source that has let go of an origin meanwhile names nothing of it in its newest manifest: read that one.
    moved = !(await pins.stillHeld(plan.needs)) || !(await stillPinned(readings, signal))
    if (moved && readings.every(({ newestId }, i) => newestId === earlier[i]?.newestId)) throw lostPin()
  }
  const origins = pins.recordOf(plan.needs)
  await pins.releaseBut(origins)
  return { plan, origins }
}

/** Whether the checkpoints from outside were still there after our own pins were. */
async function stillPinned(readings: readonly Reading[], signal: AbortSignal | undefined): Promise<boolean> {
  const held = readings.flatMap(({ heldBy }) => (heldBy === undefined ? [] : [heldBy]))
  const found = await Promise.all(held.map(({ store, pin }) => store.head(pin, { signal })))
  return found.every((info) => info !== undefined)
}

/** The signal fired while the first manifest was being created: nobody knows whether it is there, so nothing is cleaned up. */
function perhapsMade(error: MoraineError, { url }: ObjectStore): MoraineError {
  return new MoraineError(
    'ABORTED',
    `${error.message}; the clone at ${url} may be complete all the same: use it if it opens with createIfMissing: false, else repeat the call or destroy the location`,
    { detail: error.detail, cause: error.cause ?? error },
  )
}

function lostPin(): MoraineError {
  return new MoraineError(
    'CORRUPTION',
    'a source borrows tables from a database in which its pin is gone: somebody has deleted it, and the tables may be lost. Read the source from end to end before you rely on it',
  )
}

function firstManifest(
  { clock, random, owner }: CloneRequest,
  { databaseId }: Identity,
  { version, lastSeq, keyspaces, ttlNowMs }: ClonePlan,
  origins: readonly OriginPin[],
): Manifest {
  return {
    id: FIRST_MANIFEST,
    epoch: 1 as Epoch,
    token: randomHex(random, 16),
    databaseId,
    committedAtMs: clock.nowMs(),
    // What was borrowed is in tables, whatever numbers it has: no log of this database comes before it.
    flushedSeq: lastSeq,
    lastSeq,
    walId: undefined,
    released: true,
    owner,
    version,
    checkpoints: [],
    walEpochs: [],
    origins,
    jobs: [],
    keyspaces,
    ttlNowMs,
    base: undefined,
  }
}

/**
 * Step 6. When another attempt was faster, or somebody has opened the clone already, the newest manifest tells whose pins
 * count: it descends from the one that won.
 */
async function createFirst(request: CloneRequest, pins: ClonePins, manifest: Manifest): Promise<void> {
  const manifests = new ManifestStore(request.target, request)
  try {
    if ((await manifests.tryCommit(manifest, request.signal)) !== undefined) return
  } catch (error) {
    if (!isMoraineError(error, 'FENCED')) throw error
  }
  const newest = await manifests.readNewest(request.signal)
  const recorded = new Set(newest?.origins.map(({ pin }) => pin))
  if (newest !== undefined && manifest.origins.every(({ pin }) => recorded.has(pin))) return
  await pins.releaseAll()
  throw new MoraineError('CONFLICT', 'another process has made a clone at the target at the same time; this one was given up')
}

/** The target is a database already: fine when it is untouched and just what was asked for, else refused. */
async function finishedBefore(request: CloneRequest, asked: string, plan: ClonePlan): Promise<CloneReport> {
  const { target, signal } = request
  const identity = await readIdentity(target, signal)
  if (identity?.clone === asked) {
    const newest = await new ManifestStore(target, request).readNewest(signal)
    if (newest !== undefined) {
      await new ClonePins(identity.databaseId, request).sweep(placesOf(request, newest.origins), newest.origins)
      const spell = (places: readonly { origin: { databaseId: string }; manifestId: number }[]): string =>
        places.map(({ origin, manifestId }) => `${origin.databaseId} ${manifestId}`).join()
      if (newest.id === FIRST_MANIFEST && spell(newest.origins) === spell(plan.needs)) return reportOf(newest)
    }
  }
  throw new MoraineError(
    'INVALID',
    `the target ${target.url} holds a database already${identity === undefined ? '' : ` (${identity.databaseId})`}: clone to an empty prefix, or destroy it first`,
    { detail: { databaseId: identity?.databaseId } },
  )
}

/** Where an attempt may have left pins: in the sources, and in what they borrow from. */
function placesOf({ sources }: CloneRequest, origins: readonly OriginPin[]): OriginPlace[] {
  return [...sources.map(({ place }) => place), ...origins.map(({ origin }) => origin.place)]
}

function reportOf({ databaseId, version, origins }: Manifest): CloneReport {
  let sizeBytes = 0
  for (const file of filesOf(version)) sizeBytes += file.sizeBytes
  return {
    databaseId,
    tables: countFiles(version),
    sizeBytes,
    origins: origins.map(({ origin, manifestId }) => ({ ...origin, manifestId })),
  }
}
