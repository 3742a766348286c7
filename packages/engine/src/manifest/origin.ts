/**
 * Another database whose files a clone refers to. Its data objects have the same names below its own prefix, so a file is
 * found by its origin and its id.
 */
export interface Origin {
  /** Id of the database that wrote the files. */
  readonly databaseId: string
  /**
   * Where it is: a prefix of the same store (`sibling`: the same bucket, folder or memory store), or a URL when it lives
   * elsewhere.
   */
  readonly place: { readonly kind: 'sibling'; readonly prefix: string } | { readonly kind: 'url'; readonly url: string }
}

/** Equal for the same place of the same database. */
export function originKey(origin: Origin): string {
  const { place } = origin
  return `${origin.databaseId} ${place.kind} ${place.kind === 'sibling' ? place.prefix : place.url}`
}
