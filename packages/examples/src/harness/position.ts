import { MoraineError } from '@moraine/base'
import type { Restored } from '@moraine/keyed-state'
import type { JsonValue } from 'moraine'

/** Where a job stands; the metadata of its checkpoints. */
export interface Position {
  /** Of this checkpoint, the same in all instances. */
  readonly id: string
  /** Per partition: the offset of the next record. */
  readonly offsets: readonly number[]
  /** Per partition: the greatest event time, null before the first record. */
  readonly greatestTimes: readonly (number | null)[]
  /** The source has ended, and everything has been done about it. */
  readonly finished: boolean
}

export function positionMetadata({ id, offsets, greatestTimes, finished }: Position): JsonValue {
  return { streamJob: { id, offsets: [...offsets], greatestTimes: [...greatestTimes], finished } }
}

/** What the metadata of a checkpoint says; undefined when it was not taken by this harness. */
export function positionOf(metadata: JsonValue): Position | undefined {
  return (metadata as { streamJob?: Position } | null)?.streamJob
}

/** What a checkpoint says, its own or those it was rescaled from. Undefined: nothing has been read yet. */
export function restoredPosition(restored: Restored | undefined): Position | undefined {
  if (restored === undefined) return undefined
  // United from several checkpoints of one job: all say the same.
  const position = positionOf(restored.metadata ?? restored.sources[0]?.metadata ?? null)
  if (position !== undefined) return position
  throw new MoraineError('INVALID', 'the keyed state at this location was not made by this harness: its checkpoint has no offsets. Name an empty location')
}

/** The name of a job's checkpoint in all instances but the first. */
export function followerName({ id }: { readonly id: string }): string {
  return FOLLOWER_NAME + id
}

export function isFollowerName(name: string | undefined): boolean {
  return name?.startsWith(FOLLOWER_NAME) === true
}

const FOLLOWER_NAME = 'job-'
