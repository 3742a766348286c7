import { type Clock, MoraineError, type Random } from '@moraine/base'
import { openKeyedStateReader, rescaleKeyedState } from '@moraine/keyed-state'
import type { Location } from 'moraine'
import { instanceLocation } from './instance-location.ts'
import { followerName, positionOf } from './position.ts'

/** Where a job is, and how many instances it has or shall have. */
export interface JobPlace {
  readonly location: Location
  readonly parallelism: number
}

/**
 * Gives a stopped job another number of instances, at a new location: by references to its files, nothing is copied. The job
 * goes on with `runJob` at the new location, from its newest checkpoint; it must have run where it is now.
 */
export async function rescaleJob(from: JobPlace, to: JobPlace, environment: { readonly clock?: Clock; readonly random?: Random } = {}): Promise<void> {
  const leader = await openKeyedStateReader(instanceLocation(from.location, 0), environment)
  const { id: checkpoint, metadata } = leader.checkpoint
  await leader.close()
  const position = positionOf(metadata)
  if (position === undefined) throw new MoraineError('INVALID', 'the job was rescaled and has not run since: run it before it is rescaled again')
  const sources = Array.from({ length: from.parallelism }, (_, index) => ({
    location: instanceLocation(from.location, index),
    checkpoint: index === 0 ? checkpoint : followerName(position),
  }))
  const targets = Array.from({ length: to.parallelism }, (_, index) => instanceLocation(to.location, index))
  await rescaleKeyedState(sources, targets, environment)
}
