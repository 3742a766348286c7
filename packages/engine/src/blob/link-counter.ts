import type { FileId } from '../layout/object-names.ts'
import type { BlobLink } from '../manifest/blob-link.ts'
import type { BlobReference } from './blob-reference.ts'

/** Counts what a table in the making refers to. */
export class LinkCounter {
  readonly #liveBytes = new Map<FileId, number>()

  add({ id, recordBytes }: BlobReference): void {
    this.#liveBytes.set(id, (this.#liveBytes.get(id) ?? 0) + recordBytes)
  }

  /** The links, in the order in which the files were met; sizes and origins come from `known`. */
  links(known: (id: FileId) => Pick<BlobLink, 'origin' | 'sizeBytes'>): BlobLink[] {
    return [...this.#liveBytes].map(([id, liveBytes]) => {
      const { origin, sizeBytes } = known(id)
      return origin === undefined ? { id, sizeBytes, liveBytes } : { id, origin, sizeBytes, liveBytes }
    })
  }
}
