import { type Origin, originKey } from './origin.ts'
import { filesOf, type Version } from './version.ts'

/** The databases that tables or blob files of a version come from, by `originKey`. */
export function usedOrigins(version: Version): Map<string, Origin> {
  // Files of one origin share one object nearly always, so its key is made once.
  const origins = new Set<Origin>()
  for (const { origin, blobs } of filesOf(version)) {
    if (origin !== undefined) origins.add(origin)
    for (const link of blobs ?? []) if (link.origin !== undefined) origins.add(link.origin)
  }
  return new Map([...origins].map((origin) => [originKey(origin), origin]))
}
