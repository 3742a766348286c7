import { type ManifestId } from '../layout/numbers.ts'
import { sstName } from '../layout/object-names.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { TableStore } from '../table/table-store.ts'
import type { ObjectStore } from '@moraine/object-store'

/** Superseded manifests that stay, for people who look and for openers that listed just before a commit. */
const MANIFESTS_KEPT = 16

/** Superseded manifests are deleted so many at a time: one request for all of them. */
const MANIFESTS_PER_DELETE = 64

/**
 * Deletes what the owner itself has made obsolete: tables that a committed compaction replaced and no read of this
 * process uses any more, and manifests long superseded. Only names that this owner's manifest removed are touched. A
 * failed deletion leaves garbage, never damage, so it is not repeated here.
 */
export class ObsoleteObjects {
  readonly #store: ObjectStore
  readonly #manifests: ManifestStore
  readonly #tables: TableStore
  readonly #onFailed: (error: unknown) => void
  #oldestManifest: ManifestId
  #deleting: Promise<void> = Promise.resolve()
  deletedTables = 0

  constructor(options: {
    store: ObjectStore
    manifests: ManifestStore
    tables: TableStore
    /** The owner's first manifest: older ones are left to the collector. */
    firstManifest: ManifestId
    onFailed: (error: unknown) => void
  }) {
    this.#store = options.store
    this.#manifests = options.manifests
    this.#tables = options.tables
    this.#onFailed = options.onFailed
    this.#oldestManifest = options.firstManifest
  }

  /** These tables of the database itself are in no version that anybody in this process reads. */
  tablesRetired(retired: readonly TableFile[]): void {
    const files = retired.filter((file) => file.origin === undefined)
    for (const file of retired) this.#tables.forget(file.id)
    if (files.length === 0) return
    this.deletedTables += files.length
    this.#enqueue(() => this.#store.deleteMany(files.map((file) => sstName(file.id))))
  }

  /** Manifest `newest` was committed. */
  manifestCommitted(newest: ManifestId): void {
    const end = newest - MANIFESTS_KEPT
    if (end - this.#oldestManifest < MANIFESTS_PER_DELETE) return
    const ids: ManifestId[] = []
    for (let id: number = this.#oldestManifest; id < end; id++) ids.push(id as ManifestId)
    this.#oldestManifest = end as ManifestId
    this.#enqueue(() => this.#manifests.delete(ids))
  }

  /** Resolves when every deletion so far has ended. */
  drained(): Promise<void> {
    return this.#deleting
  }

  #enqueue(work: () => Promise<void>): void {
    this.#deleting = this.#deleting.then(work).catch((error: unknown) => this.#onFailed(error))
  }
}
