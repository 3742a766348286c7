import type { ManifestId } from '../layout/numbers.ts'

/**
 * Another database whose files a clone refers to. Its data objects have the same names below its own prefix, so a file is
 * found by its origin and its id.
 */
export interface Origin {
  /** Id of the database that wrote the files. */
  readonly databaseId: string
  readonly place: OriginPlace
}

/**
 * Where an origin is: a prefix of the same store (`sibling`: the same bucket, folder or memory store), or a URL when it
 * lives elsewhere.
 */
export type OriginPlace =
  | { readonly kind: 'sibling'; readonly prefix: string }
  | { readonly kind: 'url'; readonly url: string }

/**
 * A pin that this database holds in an origin: while it stands there, the origin's collector keeps every file that
 * `manifestId` names. Recorded so that the database can let go of it, and so that its own clones know what to pin.
 */
export interface OriginPin {
  readonly origin: Origin
  /** The origin's manifest that is kept. */
  readonly manifestId: ManifestId
  /** Name of the pin below the origin's prefix. */
  readonly pin: string
}

/** Equal for the same place of the same database. */
export function originKey(origin: Origin): string {
  const { place } = origin
  return `${origin.databaseId} ${place.kind} ${place.kind === 'sibling' ? place.prefix : place.url}`
}
