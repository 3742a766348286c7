import type { FileId } from '../layout/object-names.ts'
import type { BlobLink } from './blob-link.ts'
import { filesOf, type Version } from './version.ts'

/** A blob file as a version uses it: the sum of the links to it. */
export interface BlobFileUse extends BlobLink {
  /** Parts of tables that refer to it. */
  readonly tables: number
}

/**
 * The blob files of a version with the bytes that its tables refer to. A table that was cut still counts with all of its
 * links, so live bytes may be counted too high; never too low.
 */
export function blobFilesOf(version: Version): Map<FileId, BlobFileUse> {
  const uses = new Map<FileId, BlobLink & { liveBytes: number; tables: number }>()
  for (const { blobs } of filesOf(version)) {
    for (const link of blobs ?? []) {
      const known = uses.get(link.id)
      if (known === undefined) {
        uses.set(link.id, { ...link, tables: 1 })
      } else {
        known.liveBytes += link.liveBytes
        known.tables++
      }
    }
  }
  return uses
}

/** The ids of the blob files of a version, some of them several times. */
export function* blobIdsOf(version: Version): Generator<FileId> {
  for (const { blobs } of filesOf(version)) if (blobs !== undefined) for (const { id } of blobs) yield id
}
