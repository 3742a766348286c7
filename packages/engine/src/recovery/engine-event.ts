import type { MoraineError } from '@moraine/base'
import type { CompactionReport } from '../compaction/compactor.ts'
import type { RemoteCompactionReport } from '../compaction/remote/remote-offers.ts'
import type { CheckpointReport } from '../checkpoint/checkpoints.ts'
import type { FlushReport } from '../flush/flusher.ts'
import type { CollectedReport } from '../gc/background-collector.ts'
import type { Resume, Stall } from '../write/stalls.ts'

/** What an engine tells its owner; the names and payloads of `db.on`. */
export interface EngineEvents {
  flush: FlushReport
  compaction: CompactionReport
  /** What became of a compaction that was offered to remote compactors. */
  remoteCompaction: RemoteCompactionReport
  /** A checkpoint is listed in the manifest, and durable. */
  checkpoint: CheckpointReport
  /** The database went back to a checkpoint; `manifestId` is the manifest that says so. */
  restore: CheckpointReport
  /** Garbage was deleted. */
  gc: CollectedReport
  /** Writes are held back. */
  stall: Stall
  /** The end of a stall: writes go on, or wait for something else, of which another `stall` tells. */
  resume: Resume
  /** Another process owns the database now. */
  fenced: { readonly error: MoraineError }
  /** Background work failed: `willRetry` says whether it is tried again or the database has stopped. */
  error: { readonly error: MoraineError; readonly willRetry: boolean }
}

export type EmitEvent = <Name extends keyof EngineEvents>(name: Name, payload: EngineEvents[Name]) => void
