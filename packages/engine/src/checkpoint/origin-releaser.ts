import { type Clock, isMoraineError, MoraineError, SerialQueue } from '@moraine/base'
import type { ObjectStore, RequestAccount } from '@moraine/object-store'
import type { ManifestId } from '../layout/numbers.ts'
import { liveCheckpoints } from '../manifest/live-checkpoints.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type Origin, originKey, type OriginPin } from '../manifest/origin.ts'
import { usedOrigins } from '../manifest/used-origins.ts'
import type { Version } from '../manifest/version.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import { releaseClonePins } from './clone-pins.ts'
import { isLapsed, type ListedPin, listPins, releasePin } from './pins.ts'

export interface OriginReleaserOptions {
  readonly databaseId: string
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly storeOf: (origin: Origin) => ObjectStore
  readonly versions: VersionSet
  readonly account: RequestAccount
  /** The versions that reads of this process hold. */
  readonly heldVersions: () => Iterable<Version>
  readonly readManifest: (id: ManifestId, signal?: AbortSignal) => Promise<Manifest | undefined>
  readonly clock: Clock
  /** Releasing failed; it is tried again. */
  readonly onFailed: (error: MoraineError) => void
}

/** While a checkpoint, a reader or a scan keeps an origin, it is asked for again no sooner than this. */
const RETRY_MS = 10_000

/**
 * Lets go of the databases that a clone was made from, one by one, when nothing of them is needed any more. Order, and
 * the reason for each step:
 *
 *   1. A compaction has committed a manifest that names no table and no blob file of the origin. Nothing brings one back but a
 *      checkpoint, so the answers of the next steps stay true once they are.
 *   2. No checkpoint that is listed names one, and no read of this process does.
 *   3. Nobody else reads the database at a manifest from before 1: no lease that has not lapsed, no checkpoint taken from
 *      outside. Pins are listed after 1 was committed, so whoever pins later finds that manifest or a newer one.
 *      Clones of this database do not count: each has pinned the origin itself before it came to be (pitfall 35).
 *   4. Delete the pins in the origin.
 *   5. Commit a manifest without the record of them. In this order, because a record without a pin only makes the next
 *      owner delete once more, and a pin without a record would hold the origin's files for ever.
 *
 * A writer that was deposed in between does no harm: the new owner began with the manifest of step 1 or a later one.
 */
export class OriginReleaser {
  readonly #options: OriginReleaserOptions
  readonly #turns = new SerialQueue()
  readonly #abort = new AbortController()
  /** Origins that no table of the current version comes from, with the first manifest that was seen so. */
  readonly #unused = new Map<string, ManifestId>()
  /** The origins that a checkpoint's manifest names. */
  readonly #named = new Map<ManifestId, ReadonlySet<string>>()
  #queued = false
  #retryAtMs = 0

  constructor(options: OriginReleaserOptions) {
    this.#options = options
    this.committed(options.versions.current)
  }

  /** Look at each new manifest here; it costs nothing for a database that borrows nothing. */
  committed(manifest: Manifest, before?: Manifest): void {
    if (manifest.origins.length === 0) return
    const used = originsOf(manifest.version)
    for (const { origin } of manifest.origins) {
      const key = originKey(origin)
      if (used.has(key)) this.#unused.delete(key)
      else if (!this.#unused.has(key)) this.#unused.set(key, manifest.id)
    }
    if (this.#unused.size === 0 || this.#queued || this.#abort.signal.aborted) return
    // A checkpoint that went may have been the last obstacle.
    const freed = before !== undefined && before.checkpoints.length > manifest.checkpoints.length
    if (!freed && this.#options.clock.monotonicMs() < this.#retryAtMs) return
    this.#queued = true
    this.#turns
      .run(async () => {
        this.#queued = false
        await this.#release()
      })
      .catch((error: unknown) => this.#failed(error))
  }

  /** Lets go of every origin that nothing is borrowed from; CONFLICT says what keeps the others. */
  async releaseNow(): Promise<void> {
    const obstacle = await this.#turns.run(() => this.#release())
    if (obstacle === undefined) return
    throw new MoraineError('CONFLICT', `${obstacle}; everything else is detached, and this is done when that has gone`)
  }

  /** Resolves when nothing is under way. */
  drained(): Promise<void> {
    return this.#turns.drained()
  }

  /** Ends what is under way and starts nothing new. */
  abandon(reason: unknown): void {
    this.#abort.abort(reason)
  }

  /** Releases what can be released; what keeps the rest, in words. */
  async #release(): Promise<string | undefined> {
    const { versions, store, clock } = this.#options
    const { signal } = this.#abort
    signal.throwIfAborted()
    const manifest = versions.current
    const used = originsOf(manifest.version)
    const idle = manifest.origins.filter(({ origin }) => !used.has(originKey(origin)))
    if (idle.length === 0) return undefined
    const obstacles = new Map<string, string>()
    await this.#checkpointObstacles(manifest, obstacles)
    for (const version of this.#options.heldVersions()) {
      for (const key of originsOf(version)) obstacles.set(key, 'a scan or a read of this process still uses tables of another database')
    }
    // Twice: a reader that replaces its pin by another is in one of two listings at least.
    const first = await listPins(store, signal)
    const second = await listPins(store, signal)
    const readers = [...first.pins, ...second.pins].filter((pin) => pin.holder.kind !== 'clone' && !isLapsed(pin, first.storeTimeMs))
    const released: OriginPin[] = []
    let obstacle: string | undefined
    for (const record of idle) {
      const key = originKey(record.origin)
      const reader = readers.find((pin) => pin.manifestId < (this.#unused.get(key) ?? manifest.id))
      const reason = obstacles.get(key) ?? (reader === undefined ? undefined : spelledReader(reader))
      if (reason === undefined) released.push(record)
      else obstacle ??= reason
    }
    if (released.length > 0) await this.#letGo(released)
    this.#retryAtMs = obstacle === undefined ? 0 : clock.monotonicMs() + RETRY_MS
    return obstacle
  }

  async #checkpointObstacles(manifest: Manifest, obstacles: Map<string, string>): Promise<void> {
    // One that has expired cannot be restored any more, and the next commit drops it from the list.
    for (const checkpoint of liveCheckpoints(manifest.checkpoints, this.#options.clock.nowMs())) {
      const label = checkpoint.name ?? checkpoint.id
      for (const key of await this.#originsNamedBy(checkpoint.manifestId, label)) {
        obstacles.set(key, `checkpoint '${label}' still refers to tables of another database: delete it`)
      }
    }
  }

  async #originsNamedBy(id: ManifestId, label: string): Promise<ReadonlySet<string>> {
    const known = this.#named.get(id)
    if (known !== undefined) return known
    const { versions, readManifest } = this.#options
    const manifest = id === versions.current.id ? versions.current : await readManifest(id, this.#abort.signal)
    if (manifest === undefined) {
      throw new MoraineError('CORRUPTION', `manifest ${id} of checkpoint '${label}' is missing, so what it borrows is unknown: delete the checkpoint`)
    }
    const named = originsOf(manifest.version)
    this.#named.set(id, named)
    return named
  }

  /** Steps 4 and 5. */
  async #letGo(released: readonly OriginPin[]): Promise<void> {
    const { databaseId, storeOf, versions, account } = this.#options
    const { signal } = this.#abort
    const gone = new Set(released.map(({ pin, origin }) => `${originKey(origin)} ${pin}`))
    const isGone = ({ pin, origin }: OriginPin): boolean => gone.has(`${originKey(origin)} ${pin}`)
    const kept = new Set(versions.current.origins.filter((record) => !isGone(record)).map(({ pin }) => pin))
    for (const { origin, pin } of released) await releasePin(storeOf(origin), { name: pin }, signal)
    // Attempts to make this clone that were cut off may have left more of them.
    for (const origin of new Map(released.map(({ origin: o }) => [originKey(o), o])).values()) {
      await releaseClonePins(storeOf(origin), databaseId, kept, signal)
    }
    await versions.commit((current) => ({ origins: current.origins.filter((record) => !isGone(record)) }), () => {}, signal, account)
    for (const { origin } of released) this.#unused.delete(originKey(origin))
  }

  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return
    this.#retryAtMs = this.#options.clock.monotonicMs() + RETRY_MS
    if (isMoraineError(error)) this.#options.onFailed(error)
    else this.#options.onFailed(new MoraineError('INTERNAL', 'a defect kept a clone from letting go of its source', { cause: error }))
  }
}

function originsOf(version: Version): Set<string> {
  return new Set(usedOrigins(version).keys())
}

function spelledReader(pin: ListedPin): string {
  const who = pin.holder.kind === 'lease' ? 'a reader' : 'a checkpoint taken from outside'
  return `${who} still uses manifest ${pin.manifestId}, which refers to tables of another database (${pin.name})`
}
