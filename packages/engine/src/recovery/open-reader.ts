import { hostname } from 'node:os'
import { type Clock, MoraineError, type Random } from '@moraine/base'
import { CountingObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { missingManifest } from '../checkpoint/checkpoints.ts'
import { findListedCheckpoint, type FoundCheckpoint } from '../checkpoint/find-listed-checkpoint.ts'
import { pinNewest } from '../checkpoint/pin-newest.ts'
import { listPins } from '../checkpoint/pins.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { OriginStores } from '../table/origin-stores.ts'
import type { DatabaseSite } from './open-engine.ts'
import { openOrigin } from './open-origin.ts'
import type { ReaderEvents } from './reader-engine.ts'
import { ReaderEngine } from './reader-engine.ts'
import { type HeldPin, ReaderLease } from './reader-lease.ts'

/** Every setting of a reader, checked and complete. Sizes in bytes, times in milliseconds. */
export interface ReaderSettings {
  /** Id or name; undefined to follow the newest manifest. */
  readonly checkpoint: string | undefined
  /** 0: only when asked. */
  readonly refreshIntervalMs: number
  /** Undefined: the reader writes nothing at all. */
  readonly leaseMs: number | undefined
  readonly blockCacheSizeBytes: number
  readonly metadataCacheSizeBytes: number
  readonly clock: Clock
  readonly random: Random
}

/** A manifest that a reader may read from, with what keeps its files from being collected. */
export interface ReaderBasis {
  readonly manifest: Manifest
  readonly checkpoint: CheckpointRecord | undefined
  readonly pin: HeldPin | undefined
}

export type EmitReaderEvent = <Name extends keyof ReaderEvents>(name: Name, payload: ReaderEvents[Name]) => void

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
  const store = new CountingObjectStore(site.root, { clock })
  const stores = new OriginStores(new RetryingObjectStore(store, settings), site.prefix, (url) => openOrigin(url, settings))
  const manifests = new ManifestStore(stores.own, { clock, random })
  const closing = new AbortController()
  const lease =
    leaseMs === undefined
      ? undefined
      : new ReaderLease({
          store: stores.own,
          leaseMs,
          holder: `reader, process ${process.pid} on ${hostname()}`,
          clock,
          random,
          onFailed: (error) => emit('error', { error, willRetry: true }),
          signal: closing.signal,
        })
  const source = new ReaderSource(manifests, stores, lease, settings.checkpoint)
  try {
    const basis = await source.acquire(signal)
    const reader = new ReaderEngine({ settings, store, stores, manifests, source, basis, lease, emit, closing })
    await reader.start(signal)
    return reader
  } catch (error) {
    await lease?.close()
    throw error
  }
}

/** Where a reader's manifests come from. */
export class ReaderSource {
  readonly #manifests: ManifestStore
  readonly #stores: OriginStores
  readonly #lease: ReaderLease | undefined
  readonly #checkpoint: string | undefined

  constructor(manifests: ManifestStore, stores: OriginStores, lease: ReaderLease | undefined, checkpoint: string | undefined) {
    this.#manifests = manifests
    this.#stores = stores
    this.#lease = lease
    this.#checkpoint = checkpoint
  }

  get follows(): boolean {
    return this.#checkpoint === undefined
  }

  async acquire(signal: AbortSignal | undefined): Promise<ReaderBasis> {
    return this.#checkpoint === undefined ? await this.#acquireNewest(signal) : await this.#acquireCheckpoint(this.#checkpoint, signal)
  }

  async #acquireNewest(signal: AbortSignal | undefined): Promise<ReaderBasis> {
    const lease = this.#lease
    if (lease === undefined) {
      return { manifest: await this.#newest(signal), checkpoint: undefined, pin: undefined }
    }
    const seen = await this.#manifests.newestId(signal)
    if (seen === undefined) throw this.#noDatabase()
    const { manifest, pin } = await pinNewest(this.#manifests, lease, seen, signal)
    return { manifest, checkpoint: undefined, pin }
  }

  async #acquireCheckpoint(idOrName: string, signal: AbortSignal | undefined): Promise<ReaderBasis> {
    const newest = await this.#newest(signal)
    const found = await findListedCheckpoint(this.#stores.own, newest, idOrName, signal)
    const { checkpoint } = found
    const pin = await this.#lease?.acquire(checkpoint.manifestId, 'only')
    try {
      if (pin !== undefined) await this.#ensureStillThere(found, newest, signal)
      const isNewest = checkpoint.manifestId === newest.id
      const manifest = isNewest ? newest : await this.#manifests.read(checkpoint.manifestId, signal)
      if (manifest === undefined) throw missingManifest(checkpoint)
      return { manifest, checkpoint, pin }
    } catch (error) {
      if (pin !== undefined) await this.#lease?.release(pin)
      throw error
    }
  }

  async #ensureStillThere({ checkpoint, pin }: FoundCheckpoint, before: Manifest, signal: AbortSignal | undefined): Promise<void> {
    let isThere: boolean
    if (pin !== undefined) {
      isThere = (await listPins(this.#stores.own, signal)).pins.some(({ name }) => name === pin.name)
    } else {
      const newestId = await this.#manifests.newestId(signal)
      const newest = newestId === before.id ? before : await this.#newest(signal)
      isThere = newest.checkpoints.some(({ id }) => id === checkpoint.id)
    }
    if (isThere) return
    throw new MoraineError('CONFLICT', `checkpoint '${checkpoint.name ?? checkpoint.id}' was deleted while a reader was opening it`, {
      detail: { checkpoint: checkpoint.id },
    })
  }

  async #newest(signal: AbortSignal | undefined): Promise<Manifest> {
    const newest = await this.#manifests.readNewest(signal)
    if (newest === undefined) throw this.#noDatabase()
    return newest
  }

  #noDatabase(): MoraineError {
    return new MoraineError('INVALID', `there is no database at ${this.#stores.own.url}; a reader does not create one`)
  }
}
