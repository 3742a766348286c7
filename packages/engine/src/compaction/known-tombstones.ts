import { isMoraineError } from '@moraine/base'
import { RangeTombstones } from '../key/range-tombstones.ts'
import type { FileId } from '../layout/object-names.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { filesOf, type Version } from '../manifest/version.ts'
import type { TableStore } from '../table/table-store.ts'

/** The range tombstones of tables that seem to cover others: read once, at most one GET a table, kept while the table is there. */
export class KnownTombstones {
  readonly #tables: TableStore
  readonly #known = new Map<FileId, RangeTombstones>()

  constructor(tables: TableStore) {
    this.#tables = tables
  }

  of(file: TableFile): RangeTombstones | undefined {
    return this.#known.get(file.id)
  }

  async load(files: readonly TableFile[]): Promise<void> {
    for (const file of files) this.#known.set(file.id, await this.#read(file))
  }

  /** Forgets tables that have left. */
  keepOnly(version: Version): void {
    if (this.#known.size === 0) return
    const present = new Set([...filesOf(version)].map(({ id }) => id))
    for (const id of this.#known.keys()) if (!present.has(id)) this.#known.delete(id)
  }

  async #read(file: TableFile): Promise<RangeTombstones> {
    try {
      const handle = this.#tables.handle(file)
      return this.#tables.rangeTombstones(handle, await this.#tables.loadMetadata(handle))
    } catch (error) {
      // A damaged table frees no others; compactions that need it will say what is wrong with it.
      if (isMoraineError(error, 'CORRUPTION')) return new RangeTombstones()
      throw error
    }
  }
}
