import type { ManifestId } from '../layout/numbers.ts'

export interface VerifyProblem {
  /** The object that is missing or damaged, relative to the prefix of its database. */
  readonly object: string
  readonly missing: boolean
  /** A whole sentence: what is wrong, and which keys that concerns. */
  readonly message: string
  /** First and last key of a table, as text for people. */
  readonly keys?: { readonly smallest: string; readonly largest: string } | undefined
  /** Manifests that need it. */
  readonly neededBy: readonly ManifestId[]
}
