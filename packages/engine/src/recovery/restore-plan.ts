import type { Epoch } from '../layout/numbers.ts'
import type { CheckpointRecord } from '../manifest/manifest.ts'
import type { Version } from '../manifest/version.ts'

/** What an owner goes back to. */
export interface RestorePlan {
  readonly checkpoint: CheckpointRecord
  readonly version: Version
  /** The epoch that gives the order: nobody else may have taken the database since. */
  readonly epoch: Epoch
  /** The last sequence number that this epoch used; none up to it is used again. */
  readonly lastSeq: number
}
