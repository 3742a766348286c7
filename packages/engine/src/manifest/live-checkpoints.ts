import type { CheckpointRecord } from './manifest.ts'

/** The checkpoints that have not expired at `nowMs` of the owner's wall clock. */
export function liveCheckpoints(checkpoints: readonly CheckpointRecord[], nowMs: number): readonly CheckpointRecord[] {
  const isLive = ({ expiresAtMs }: CheckpointRecord): boolean => expiresAtMs === undefined || expiresAtMs > nowMs
  return checkpoints.every(isLive) ? checkpoints : checkpoints.filter(isLive)
}

/** A checkpoint by its id, or else by its name. */
export function findCheckpoint(checkpoints: readonly CheckpointRecord[], idOrName: string): CheckpointRecord | undefined {
  return checkpoints.find(({ id }) => id === idOrName) ?? checkpoints.find(({ name }) => name === idOrName)
}
