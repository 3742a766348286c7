import type { FileId } from '../layout/object-names.ts'
import type { Origin } from './origin.ts'

/**
 * A blob file that a table refers to. What refers to a blob file keeps it: a version has no list of blob files but the
 * links of its tables, and a file without a link is garbage.
 */
export interface BlobLink {
  readonly id: FileId
  /** The database that wrote it; undefined for this one. */
  readonly origin?: Origin | undefined
  /** Size of the object. */
  readonly sizeBytes: number
  /** How many of its bytes the table refers to; records that several tables refer to do not exist. */
  readonly liveBytes: number
}

export const NO_BLOBS: readonly BlobLink[] = []
