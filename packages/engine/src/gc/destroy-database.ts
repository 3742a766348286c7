import { type Clock, isMoraineError, MoraineError, type Random, randomHex } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { abandonClone, releasePinsAt } from '../checkpoint/abandon-clone.ts'
import { isLapsed, type ListedPin, releasePin } from '../checkpoint/pins.ts'
import { parsePinName } from '../checkpoint/pin-name.ts'
import { type Epoch, nextManifest } from '../layout/numbers.ts'
import {
  DATABASE_FOLDERS,
  IDENTITY_NAME,
  MANIFEST_PREFIX,
  manifestName,
  parseDataName,
  parseJobObjectName,
  parseManifestName,
  parseWalName,
} from '../layout/object-names.ts'
import { readIdentity } from '../manifest/identity.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { Origin, OriginPlace } from '../manifest/origin.ts'
import { listObjects, listPinsTwice } from './collector.ts'

export interface DestroyRequest {
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  /** The prefix of a database that this one was cloned from. */
  readonly originStore: (origin: Origin) => ObjectStore
  /** Do not mind pins, nor an owner that did not close. */
  readonly force: boolean
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
  /** Told from time to time how many objects are gone. */
  readonly onProgress?: ((deleted: number) => void) | undefined
}

export interface DestroyReport {
  readonly deletedObjects: number
  /** Names in the database's folders that are not Moraine's: they are still there. */
  readonly left: readonly string[]
}

/**
 * Deletes a database. The order, and the reason for each step:
 *
 *   1. Refuse while somebody uses it: an owner that did not close, clones, readers. Nothing has been changed by then.
 *   2. Commit a manifest of the next epoch that says `destroyed`. From here on no owner commits, nobody opens the database,
 *      and whoever pins it from now on finds this manifest and lets go.
 *   3. List the pins again: a pinner between 1 and 2 has seen a whole database. If there is one, the mark is taken back
 *      by another manifest and the call is refused. A crash before that leaves a marked but whole database.
 *   4. Let go of what it had pinned in its origins.
 *   5. Delete all data, then the older manifests, then the identity, and the marked manifest last: wherever this
 *      stops, the next opening is refused, and the next call starts again at 3.
 */
export async function destroyDatabase(request: DestroyRequest): Promise<DestroyReport> {
  const { store, manifests, originStore, force, signal } = request
  const marked = await markDestroyed(request)
  if (!force) await refusePinned(store, signal)
  for (const { origin, pin } of marked?.origins ?? []) await releaseQuietly(originStore(origin), pin, signal)
  await releaseStrayPins(request, marked)
  const left: string[] = []
  let deletedObjects = 0
  const last = marked === undefined ? undefined : manifestName(marked.id)
  for (const folder of [...DATABASE_FOLDERS.filter((name) => name !== MANIFEST_PREFIX), MANIFEST_PREFIX]) {
    let names: string[] = []
    const deleteNames = async (): Promise<void> => {
      if (names.length === 0) return
      await store.deleteMany(names, { signal })
      deletedObjects += names.length
      request.onProgress?.(deletedObjects)
      names = []
    }
    for await (const { key } of listObjects(store, folder, signal)) {
      if (key === last) continue
      if (!isOurs(key)) left.push(key)
      else if (names.push(key) === 1000) await deleteNames()
    }
    await deleteNames()
  }
  await store.delete(IDENTITY_NAME, { signal })
  if (last !== undefined) await manifests.delete([(marked as Manifest).id], signal)
  return { deletedObjects: deletedObjects + (last === undefined ? 1 : 2), left }
}

/** Steps 1 to 3. Undefined when there is no manifest, only what is left of a creation. */
async function markDestroyed(request: DestroyRequest): Promise<Manifest | undefined> {
  const { store, manifests, force, clock, random, signal } = request
  for (;;) {
    const newest = await readLast(request)
    if (newest === undefined || newest.destroyed === true) return newest
    if (!force) {
      if (!newest.released) throw stillOwned(newest)
      await refusePinned(store, signal)
    }
    const mark: Manifest = {
      ...newest,
      id: nextManifest(newest.id),
      epoch: (newest.epoch + 1) as Epoch,
      token: randomHex(random, 16),
      committedAtMs: clock.nowMs(),
      released: true,
      jobs: [],
      destroyed: true,
    }
    const marked = await manifests.tryCommit(mark, signal)
    if (marked === undefined) continue
    try {
      if (!force) await refusePinned(store, signal)
    } catch (error) {
      if (!isMoraineError(error, 'CONFLICT')) throw error
      const whole = { ...marked, id: nextManifest(marked.id), token: randomHex(random, 16), destroyed: false }
      await manifests.commit(whole, signal)
      throw error
    }
    return marked
  }
}

async function readLast({ store, manifests, force, signal }: DestroyRequest): Promise<Manifest | undefined> {
  const last = await manifests.readLast(signal)
  if (last !== undefined) return last
  for (const folder of force ? [] : DATABASE_FOLDERS) {
    for await (const { key } of listObjects(store, folder, signal)) {
      if (!isOurs(key)) continue
      throw new MoraineError('CORRUPTION', `there is '${key}' at ${store.url} but no manifest, so who uses it is unknown; force deletes it`)
    }
  }
  if (!force && (await store.head(IDENTITY_NAME, { signal })) === undefined) {
    throw new MoraineError('INVALID', `there is no database at ${store.url}`)
  }
  return undefined
}

async function refusePinned(store: ObjectStore, signal: AbortSignal | undefined): Promise<void> {
  const { pins, storeTimeMs } = await listPinsTwice(store, signal)
  const living = pins.filter((pin) => !isLapsed(pin, storeTimeMs))
  if (living.length === 0) return
  const shown = living.slice(0, 3).map((pin) => `${holderOf(pin)} (${pin.name})`)
  throw new MoraineError(
    'CONFLICT',
    `the database at ${store.url} is in use by ${living.length === 1 ? '' : `${living.length} others, among them `}${shown.join(', ')}; detach or destroy clones and close readers first, or destroy it with force`,
    { detail: { pins: living.length, first: living[0]?.name } },
  )
}

function holderOf({ holder }: ListedPin): string {
  if (holder.kind === 'clone') return 'a clone that reads its files'
  return holder.kind === 'lease' ? 'a reader' : 'a checkpoint taken from outside'
}

function stillOwned({ owner, epoch }: Manifest): MoraineError {
  return new MoraineError(
    'CONFLICT',
    `the database was not closed by its owner (${owner}, epoch ${epoch}), which may still be running; close it first, or destroy it with force`,
    { detail: { owner, epoch } },
  )
}

/** An origin may be gone, or closed to us, by the time its clone is destroyed: then there is nothing to let go of. */
async function releaseQuietly(store: ObjectStore, pin: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await releasePin(store, { name: pin }, signal)
  } catch (error) {
    if (!isMoraineError(error, 'INVALID')) throw error
  }
}

/** Pins that attempts to make this clone left behind, when they were cut off. */
async function releaseStrayPins(request: DestroyRequest, marked: Manifest | undefined): Promise<void> {
  const { store, originStore, signal } = request
  const storeAt = (place: OriginPlace): ObjectStore => originStore({ databaseId: '', place })
  if (marked !== undefined) {
    await releasePinsAt(marked.databaseId, marked.origins.map(({ origin }) => origin.place), { ...request, storeAt })
    return
  }
  const identity = await readIdentity(store, signal)
  if (identity !== undefined) await abandonClone(identity, { ...request, storeAt })
}

function isOurs(name: string): boolean {
  return (
    parseDataName(name) !== undefined ||
    parseWalName(name) !== undefined ||
    parseManifestName(name) !== undefined ||
    parsePinName(name) !== undefined ||
    parseJobObjectName(name) !== undefined
  )
}
