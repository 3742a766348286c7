import type { BatchDeleteOptions, Db, Keyspace, KeyspaceOptions } from 'moraine'

/**
 * The keyspace of states with `separateLargeValues`. Keys are the same as in the default keyspace, so that a range of key groups
 * is one range in both: clones and rescaling take it along without knowing of it. Only its values go to blob files.
 */
export const LARGE_VALUES = 'large-values'

/** Where a write belongs. */
export const IN_LARGE_VALUES: BatchDeleteOptions = { keyspace: LARGE_VALUES }

export const DEFAULT_LARGE_VALUE_BYTES: number = 16 * 1024

/** Where the entries of a state are, by its `separated`. */
export type StateSpaces = (separated: boolean) => Db | Keyspace

/** The keyspace is declared when a state needs it: a database without such states has no keyspace and no envelopes to pay for. */
export function stateSpaces(db: Db, options: KeyspaceOptions): StateSpaces {
  let large: Keyspace | undefined
  return (separated) => {
    if (!separated) return db
    large ??= db.keyspace(LARGE_VALUES, options)
    return large
  }
}
