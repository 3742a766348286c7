import { type Clock, MoraineError, type Random, randomHex, sleep } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { type Epoch, FIRST_MANIFEST, nextManifest } from '../layout/numbers.ts'
import { establishIdentity } from '../manifest/identity.ts'
import type { KeyspaceRecord } from '../manifest/keyspace-record.ts'
import type { Manifest, WalEpoch } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { findCheckpoint } from '../manifest/live-checkpoints.ts'
import { EMPTY_VERSION } from '../manifest/version.ts'
import type { RestorePlan } from './restore-plan.ts'

export interface OwnershipRequest {
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  readonly takeover: 'steal' | 'wait' | 'fail'
  readonly createIfMissing: boolean
  readonly owner: string
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal | undefined
  /**
   * Called with the newest manifest before the epoch is taken: the place to refuse without having fenced anyone.
   * Gives the id of the log that will continue the new manifest.
   */
  readonly prepareLog: (before: Manifest | undefined, databaseId: string) => Promise<string | undefined>
  /** The new owner's log is in the store: from its first manifest on whoever comes next must look for it. */
  readonly logsToStore: boolean
  /** What the new owner's manifests say of keyspaces; INVALID when that contradicts the newest manifest. */
  readonly keyspaces: (before: Manifest | undefined) => readonly KeyspaceRecord[]
  /** The owner takes its own database anew, in the state of a checkpoint. */
  readonly restore: RestorePlan | undefined
}

const WAIT_POLL_MS = 500
const FIRST_EPOCH = 1 as Epoch

/**
 * Makes this process the owner of the database: commits a manifest with the next epoch. What the engine then starts
 * from is that manifest, so its state was read under its own epoch and nobody of an older one can change it any more.
 * Creates the database when there is none.
 */
export async function takeOwnership(request: OwnershipRequest): Promise<{ manifest: Manifest; before: Manifest | undefined }> {
  const { manifests } = request
  let log: { before: Manifest | undefined; walId: string | undefined } | undefined
  for (;;) {
    const before = await manifests.readNewest(request.signal)
    if (before !== undefined && !before.released && request.takeover !== 'steal' && request.restore === undefined) {
      if (request.takeover === 'fail') throw ownedByAnother(before)
      await sleep(request.clock, WAIT_POLL_MS, request.signal)
      continue
    }
    const databaseId = before?.databaseId ?? (await newDatabaseId(request))
    if (databaseId === undefined) continue
    request.keyspaces(before)
    // A lost race brings a newer manifest, and with it perhaps another lineage of the log.
    if (log === undefined || log.before?.walId !== before?.walId) {
      log = { before, walId: await request.prepareLog(before, databaseId) }
    }
    const next = nextOwnersManifest(request, before, databaseId, log.walId)
    const committed = await manifests.tryCommit(next, request.signal)
    if (committed !== undefined) return { manifest: committed, before }
  }
}

async function newDatabaseId(request: OwnershipRequest): Promise<string | undefined> {
  if (!request.createIfMissing) {
    throw new MoraineError('INVALID', `there is no database at ${request.store.url}, and createIfMissing is false`)
  }
  return (await establishIdentity(request.store, request))?.databaseId
}

function nextOwnersManifest(
  request: OwnershipRequest,
  before: Manifest | undefined,
  databaseId: string,
  walId: string | undefined,
): Manifest {
  const fresh = {
    token: randomHex(request.random, 16),
    committedAtMs: request.clock.nowMs(),
    owner: request.owner,
    walId,
    released: false,
  }
  const ownLog = (epoch: Epoch): WalEpoch[] => (request.logsToStore ? [{ epoch, firstSegment: 1 }] : [])
  if (before !== undefined) {
    const epoch = (before.epoch + 1) as Epoch
    // Logs of older owners stay listed until all they hold is flushed, however often an opening dies before that.
    const state = request.restore === undefined ? before : restoredState(request.restore, before)
    const walEpochs = [...state.walEpochs, ...ownLog(epoch)]
    // Only the owner that offered a job commits its result.
    const keyspaces = request.keyspaces(before)
    return { ...state, ...fresh, id: nextManifest(before.id), epoch, walEpochs, jobs: [], keyspaces }
  }
  return {
    ...fresh,
    id: FIRST_MANIFEST,
    epoch: FIRST_EPOCH,
    databaseId,
    flushedSeq: 0,
    lastSeq: 0,
    version: EMPTY_VERSION,
    checkpoints: [],
    walEpochs: ownLog(FIRST_EPOCH),
    origins: [],
    jobs: [],
    keyspaces: request.keyspaces(undefined),
    ttlNowMs: 0,
    base: undefined,
  }
}

/**
 * The manifest before, with the checkpoint's tables. Every sequence number that was ever used counts as flushed: those above
 * the checkpoint's are given up, none is used again, and no log is replayed.
 */
function restoredState(restore: RestorePlan, before: Manifest): Manifest {
  if (before.epoch !== restore.epoch) {
    throw new MoraineError(
      'FENCED',
      `another process has taken over this database (epoch ${before.epoch}, ${before.owner}) before it could be restored; open it anew if it should be yours`,
      { detail: { epoch: restore.epoch, owner: before.owner } },
    )
  }
  const { checkpoint } = restore
  if (findCheckpoint(before.checkpoints, checkpoint.id) === undefined) {
    throw new MoraineError('CONFLICT', `checkpoint '${checkpoint.name ?? checkpoint.id}' was deleted before it could be restored`)
  }
  const lastSeq = Math.max(before.lastSeq, restore.lastSeq)
  return { ...before, version: restore.version, flushedSeq: lastSeq, lastSeq, walEpochs: [], base: undefined }
}

function ownedByAnother(manifest: Manifest): MoraineError {
  return new MoraineError(
    'CONFLICT',
    `the database was not closed by its owner (${manifest.owner}, epoch ${manifest.epoch}), which may still be running; open with takeover: 'steal' to fence it off, or 'wait' to wait for it`,
    { detail: { owner: manifest.owner, epoch: manifest.epoch } },
  )
}
