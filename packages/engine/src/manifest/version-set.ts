import { type Clock, MoraineError, type Random, randomHex, SerialQueue } from '@moraine/base'
import { nextManifest } from '../layout/numbers.ts'
import type { CheckpointRecord, Manifest, WalEpoch } from './manifest.ts'
import type { ManifestStore } from './manifest-store.ts'
import { applyEdit } from './version.ts'
import type { VersionEdit } from './version-edit.ts'

/** What a commit changes; fields that are absent stay as they are. */
export interface ManifestChange {
  readonly edit?: VersionEdit
  readonly flushedSeq?: number
  readonly lastSeq?: number
  readonly released?: boolean
  readonly checkpoints?: readonly CheckpointRecord[]
  readonly walEpochs?: readonly WalEpoch[]
}

/**
 * The owner's current manifest, and the one place where it changes. Commits run one after another; each is built from the
 * manifest that the one before it left, so a flush and a compaction that end together both take effect.
 */
export class VersionSet {
  readonly #manifests: ManifestStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #commits = new SerialQueue()
  #current: Manifest
  #fenced: MoraineError | undefined

  constructor(manifests: ManifestStore, current: Manifest, options: { clock: Clock; random: Random }) {
    this.#manifests = manifests
    this.#current = current
    this.#clock = options.clock
    this.#random = options.random
  }

  get current(): Manifest {
    return this.#current
  }

  /**
   * Commits a change. `change` is computed when its turn comes, from the manifest of that moment; `publish` runs
   * synchronously after the commit, before any later one starts. FENCED when the database belongs to another writer now.
   */
  commit(
    change: (current: Manifest) => ManifestChange,
    publish: (committed: Manifest) => void,
    signal?: AbortSignal,
  ): Promise<Manifest> {
    return this.#commits.run(async () => {
      // A fenced owner must not try again: its number may have been collected meanwhile.
      if (this.#fenced !== undefined) throw this.#fenced
      const current = this.#current
      const { edit, ...fields } = change(current)
      const next: Manifest = {
        ...current,
        ...fields,
        version: edit === undefined ? current.version : applyEdit(current.version, edit),
        id: nextManifest(current.id),
        token: randomHex(this.#random, 16),
        committedAtMs: this.#clock.nowMs(),
      }
      try {
        this.#current = await this.#manifests.commit(next, signal)
      } catch (error) {
        if (error instanceof MoraineError && error.code === 'FENCED') this.#fenced = error
        throw error
      }
      publish(this.#current)
      return this.#current
    })
  }

  /** Throws FENCED when the newest manifest is not ours. Waits for a commit under way. One LIST. */
  verifyOwnership(signal?: AbortSignal): Promise<void> {
    return this.#commits.run(() => this.#manifests.verifyNewest(this.#current, signal))
  }
}
