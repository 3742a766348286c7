/** Fencing number of a writer: one more than that of the owner before it. Never falls. */
export type Epoch = number & { readonly __brand: 'epoch' }

/** Number of a manifest: 1 for the first, then without gaps. */
export type ManifestId = number & { readonly __brand: 'manifest-id' }

export const FIRST_MANIFEST: ManifestId = 1 as ManifestId

export function nextManifest(id: ManifestId): ManifestId {
  return (id + 1) as ManifestId
}
