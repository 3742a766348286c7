import { type Clock, isMoraineError, MoraineError, type Random, randomHex, SerialQueue, sleep } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import { nextManifest } from '../layout/numbers.ts'
import { liveCheckpoints } from './live-checkpoints.ts'
import type { CheckpointRecord, CompactionJob, Manifest, WalEpoch } from './manifest.ts'
import type { ManifestStore } from './manifest-store.ts'
import type { OriginPin } from './origin.ts'
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
  readonly origins?: readonly OriginPin[]
  readonly jobs?: readonly CompactionJob[]
}

const RETRY_FIRST_MS = 100
const RETRY_MOST_MS = 5_000

export interface VersionSetOptions {
  readonly clock: Clock
  readonly random: Random
  /** What every commit says of keyspaces and of the time that decides about expiry. */
  readonly semantics?: () => Pick<Manifest, 'keyspaces' | 'ttlNowMs'>
  /** A commit whose outcome is not known yet will be tried again. */
  readonly onRetry?: (error: MoraineError) => void
  /** Runs after each commit, before its `publish`. */
  readonly onCommitted?: (committed: Manifest, before: Manifest, edit: VersionEdit | undefined) => void
}

/**
 * The owner's current manifest, and the one place where it changes. Commits run one after another; each is built from the
 * manifest that the one before it left, so a flush and a compaction that end together both take effect.
 */
export class VersionSet {
  readonly #manifests: ManifestStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #onRetry: ((error: MoraineError) => void) | undefined
  readonly #onCommitted: VersionSetOptions['onCommitted']
  readonly #semantics: VersionSetOptions['semantics']
  readonly #commits = new SerialQueue()
  #current: Manifest
  #fenced: MoraineError | undefined
  /** A commit was given up before its outcome was known. */
  #unclear = false

  constructor(manifests: ManifestStore, current: Manifest, options: VersionSetOptions) {
    this.#manifests = manifests
    this.#current = current
    this.#clock = options.clock
    this.#random = options.random
    this.#onRetry = options.onRetry
    this.#onCommitted = options.onCommitted
    this.#semantics = options.semantics
  }

  get current(): Manifest {
    return this.#current
  }

  /**
   * Commits a change. `change` is computed when its turn comes, from the manifest of that moment; `publish` runs
   * synchronously after the commit, before any later one starts. FENCED when the database belongs to another writer now.
   * A store that does not answer is asked until it does, or until `signal` fires: then it is not known whether the
   * commit happened, and the owner must not commit anything else.
   */
  commit(
    change: (current: Manifest) => ManifestChange,
    publish: (committed: Manifest) => void,
    signal?: AbortSignal,
    account?: RequestAccount,
  ): Promise<Manifest> {
    return this.#commits.run(async () => {
      // A fenced owner must not try again: its number may have been collected meanwhile.
      if (this.#fenced !== undefined) throw this.#fenced
      const current = this.#current
      const { edit, ...fields } = change(current)
      const nowMs = this.#clock.nowMs()
      const next: Manifest = {
        ...current,
        ...this.#semantics?.(),
        ...fields,
        // The owner's next commit is where expired checkpoints go.
        checkpoints: liveCheckpoints(fields.checkpoints ?? current.checkpoints, nowMs),
        // Nobody waits for the results of an owner that has gone.
        jobs: (fields.released ?? current.released) ? [] : (fields.jobs ?? current.jobs),
        version: edit === undefined ? current.version : applyEdit(current.version, edit),
        id: nextManifest(current.id),
        token: randomHex(this.#random, 16),
        committedAtMs: nowMs,
      }
      try {
        this.#current = await this.#settle(next, signal, account)
      } catch (error) {
        if (error instanceof MoraineError && error.code === 'FENCED') this.#fenced = error
        else this.#unclear = true
        throw error
      }
      this.#onCommitted?.(this.#current, current, edit)
      publish(this.#current)
      return this.#current
    })
  }

  /**
   * Repeats one commit until its outcome is known. It may have happened when the error came, so another manifest must
   * not be tried under its number: that one would find the number taken, by ourselves.
   */
  async #settle(next: Manifest, signal: AbortSignal | undefined, account: RequestAccount | undefined): Promise<Manifest> {
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MOST_MS)) {
      try {
        return await this.#manifests.commit(next, signal, account)
      } catch (error) {
        if (signal?.aborted === true || !isMoraineError(error, 'UNAVAILABLE')) throw error
        this.#onRetry?.(error)
      }
      await sleep(this.#clock, delayMs, signal)
    }
  }

  /**
   * Asks the store whether the current manifest is the newest (FENCED if not; one LIST) and runs `look` in the same moment:
   * no commit is under way then. ABORTED when the outcome of a commit is unknown.
   */
  betweenCommits<T>(look: (current: Manifest) => T, signal?: AbortSignal, account?: RequestAccount): Promise<T> {
    return this.#commits.run(async () => {
      if (this.#fenced !== undefined) throw this.#fenced
      if (this.#unclear) throw new MoraineError('ABORTED', 'it is not known whether the last commit happened')
      await this.#manifests.verifyNewest(this.#current, signal, account)
      return look(this.#current)
    })
  }

  /** Throws FENCED when the newest manifest is not ours. Waits for a commit under way. One LIST. */
  verifyOwnership(signal?: AbortSignal, account?: RequestAccount): Promise<void> {
    return this.#commits.run(() => this.#manifests.verifyNewest(this.#current, signal, account))
  }
}
