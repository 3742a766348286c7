import type { ListedCheckpoint } from './checkpoint-record.ts'

/**
 * Which checkpoints are to go: those without a name beyond the newest `retain` of them, and those that have expired. The newest
 * one stays whatever it is, because the state would be lost with it. `listed` is in ascending order. Pure.
 */
export function staleCheckpoints(listed: readonly ListedCheckpoint[], retain: number, nowMs: number): ListedCheckpoint[] {
  const newest = listed.at(-1)
  const unnamed = listed.filter(({ name }) => name === undefined)
  const retained = new Set(unnamed.slice(-retain))
  return listed.filter((checkpoint) => {
    if (checkpoint === newest) return false
    const expired = checkpoint.expiresAt !== undefined && checkpoint.expiresAt <= nowMs
    return expired || checkpoint.number === 0 || (checkpoint.name === undefined && !retained.has(checkpoint))
  })
}
