import { type Clock, MoraineError, type Random } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { findCheckpoint } from '../manifest/live-checkpoints.ts'
import type { CheckpointRecord } from '../manifest/manifest.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { outsideCheckpoints } from './find-listed-checkpoint.ts'
import { pinNewest } from './pin-newest.ts'
import { createPin, type Pin, releasePin } from './pins.ts'

export interface OutsideCheckpointRequest {
  readonly name: string | undefined
  /** JSON text. */
  readonly metadata: string
  /** Who takes it, in words. */
  readonly holder: string
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

/** The open pin that catches a busy writer is a lease, so that a crash before it is narrowed keeps nothing for ever. */
const CATCHING_LEASE_MS = 60_000

/**
 * Takes a checkpoint of a database that another process may be writing: the newest state that is in the store. Whoever is
 * not the owner commits nothing, so it is an exact pin with a name instead of an entry in the manifest; for readers and
 * clones it is the same. CONFLICT when the name is in use, INVALID when there is no database.
 */
export async function takeOutsideCheckpoint(store: ObjectStore, request: OutsideCheckpointRequest): Promise<CheckpointRecord> {
  const { name, metadata, holder, clock, random, signal } = request
  const manifests = new ManifestStore(store, request)
  const newest = await manifests.readNewest(signal)
  if (newest === undefined) throw new MoraineError('INVALID', `there is no database at ${store.url}`)
  if (name !== undefined) {
    const others = [...newest.checkpoints, ...(await outsideCheckpoints(store, signal)).map(({ checkpoint }) => checkpoint)]
    if (findCheckpoint(others, name) !== undefined) {
      throw new MoraineError('CONFLICT', `there is a checkpoint '${name}' already: delete it first, or choose another name`)
    }
  }
  const note = { holder, createdAtMs: clock.nowMs(), name, metadata }
  const pinning = {
    acquire: (manifestId: typeof newest.id, scope: 'from' | 'only'): Promise<Pin> => {
      const kind = scope === 'only' ? ({ kind: 'checkpoint' } as const) : ({ kind: 'lease', leaseMs: CATCHING_LEASE_MS } as const)
      return createPin(store, { manifestId, scope, holder: kind, note }, random, signal)
    },
    release: (pin: Pin) => releasePin(store, pin, signal),
  }
  const { pin } = await pinNewest(manifests, pinning, newest.id, signal)
  return { id: pin.unique, name, manifestId: pin.manifestId, createdAtMs: note.createdAtMs, expiresAtMs: undefined, metadata }
}
