import { locationInSameStore, splitLocation } from '@moraine/object-store'
import type { Location } from 'moraine'

/** Where the keyed state of instance `index` of a job is: one level below the job. */
export function instanceLocation(job: Location, index: number): Location {
  const below = (prefix: string): string => (prefix === '' ? `instance-${index}` : `${prefix}/instance-${index}`)
  if (typeof job !== 'string') return { store: job.store, prefix: below(job.prefix ?? '') }
  return locationInSameStore(job, below(splitLocation(job).prefix))
}
