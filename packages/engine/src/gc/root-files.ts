import { MoraineError } from '@moraine/base'
import type { ManifestId } from '../layout/numbers.ts'
import type { FileId } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { filesKeptBy } from './reachability.ts'
import { readRoot } from './root-manifest.ts'

/**
 * Which data objects the manifests of checkpoints and pins name. A manifest that this process committed is known without
 * a request; another is read once, for as long as it is kept.
 */
export class RootFiles {
  readonly #manifests: ManifestStore
  readonly #sets = new Map<ManifestId, ReadonlySet<FileId>>()
  /** Committed here and not asked for yet: its parts are shared with the current manifest and cost nothing. */
  readonly #committed = new Map<ManifestId, Manifest>()

  constructor(manifests: ManifestStore) {
    this.#manifests = manifests
  }

  remember(manifest: Manifest): void {
    this.#committed.set(manifest.id, manifest)
  }

  /** The error, when the manifest cannot be read and never will be. */
  async of(id: ManifestId, signal?: AbortSignal): Promise<ReadonlySet<FileId> | MoraineError> {
    const known = this.#sets.get(id)
    if (known !== undefined) return known
    const root = this.#committed.get(id) ?? (await readRoot(this.#manifests, id, signal))
    if (root instanceof MoraineError) return root
    const files = new Set(filesKeptBy(root))
    this.#sets.set(id, files)
    this.#committed.delete(id)
    return files
  }

  /** Forgets manifests before `newest` that are not kept any more. */
  retain(kept: ReadonlySet<ManifestId>, newest: ManifestId): void {
    for (const known of [this.#sets, this.#committed]) {
      for (const id of known.keys()) if (id < newest && !kept.has(id)) known.delete(id)
    }
  }
}
