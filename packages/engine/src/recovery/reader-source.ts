import { MoraineError } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { missingManifest } from '../checkpoint/checkpoints.ts'
import { findListedCheckpoint, type FoundCheckpoint } from '../checkpoint/find-listed-checkpoint.ts'
import { pinNewest } from '../checkpoint/pin-newest.ts'
import { listPins } from '../checkpoint/pins.ts'
import type { ManifestId } from '../layout/numbers.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { HeldPin, ReaderLease } from './reader-lease.ts'

/** A manifest that a reader may read from, with what keeps its files from being collected. */
export interface ReaderBasis {
  readonly manifest: Manifest
  readonly checkpoint: CheckpointRecord | undefined
  readonly pin: HeldPin | undefined
}

/** Where a reader's manifests come from. */
export class ReaderSource {
  readonly #manifests: ManifestStore
  readonly #store: ObjectStore
  readonly #lease: ReaderLease | undefined
  readonly #checkpoint: string | undefined

  constructor(manifests: ManifestStore, store: ObjectStore, lease: ReaderLease | undefined, checkpoint: string | undefined) {
    this.#manifests = manifests
    this.#store = store
    this.#lease = lease
    this.#checkpoint = checkpoint
  }

  get follows(): boolean {
    return this.#checkpoint === undefined
  }

  /** @param listed the newest manifest, when it was just listed */
  async acquire(signal: AbortSignal | undefined, listed?: ManifestId): Promise<ReaderBasis> {
    if (this.#checkpoint !== undefined) return await this.#acquireCheckpoint(this.#checkpoint, signal)
    return await this.#acquireNewest(signal, listed)
  }

  async #acquireNewest(signal: AbortSignal | undefined, listed: ManifestId | undefined): Promise<ReaderBasis> {
    const lease = this.#lease
    if (lease === undefined) {
      // What was listed may be collected by now; then there is a newer one.
      const manifest = (listed === undefined ? undefined : await this.#manifests.read(listed, signal)) ?? (await this.#newest(signal))
      return { manifest, checkpoint: undefined, pin: undefined }
    }
    const seen = listed ?? (await this.#manifests.newestId(signal))
    if (seen === undefined) throw this.#noDatabase()
    const { manifest, pin } = await pinNewest(this.#manifests, lease, seen, signal)
    return { manifest, checkpoint: undefined, pin }
  }

  async #acquireCheckpoint(idOrName: string, signal: AbortSignal | undefined): Promise<ReaderBasis> {
    const newest = await this.#newest(signal)
    const found = await findListedCheckpoint(this.#store, newest, idOrName, signal)
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
      isThere = (await listPins(this.#store, signal)).pins.some(({ name }) => name === pin.name)
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
    return new MoraineError('INVALID', `there is no database at ${this.#store.url}; a reader does not create one`)
  }
}
