import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'

/**
 * What wants to stand in a manifest at an exact point of the history, and therefore travels with the flush that reaches
 * this point: that way it costs no request of its own. When the point has been reached already, the flusher gives it a
 * commit of its own before the next memtable is flushed.
 */
export interface CommitRider {
  /** Whether something waits whose point is at or below this flushed sequence number. */
  isDue(flushedSeq: number): boolean
  /**
   * The checkpoint list for a manifest that replaces `current` and has flushed up to `flushedSeq`; undefined when
   * nothing is due. `arrived` is called when that manifest has been committed.
   */
  board(current: Manifest, flushedSeq: number): { checkpoints: readonly CheckpointRecord[]; arrived: () => void } | undefined
  /** Nothing will be committed any more. */
  stop(error: unknown): void
}

/** Nothing ever waits: for flushes before the engine runs. */
export const NO_RIDER: CommitRider = { isDue: () => false, board: () => undefined, stop: () => {} }
