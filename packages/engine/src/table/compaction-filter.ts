import { MoraineError } from '@moraine/base'

/** What a compaction filter is told about an entry besides its key and value. */
export interface CompactionFilterContext {
  /** The level that the entry goes to. */
  readonly outputLevel: number
  /** No older version of the key can be anywhere else. */
  readonly bottommost: boolean
}

/** What becomes of an entry. */
export type CompactionVerdict = 'keep' | 'remove' | { readonly replace: Uint8Array }

/**
 * Code of the application that looks at entries while a compaction rewrites them: to drop what is out of date, or to
 * rewrite it in a newer format. It is no substitute for a delete: when an entry is compacted, if ever, is not said.
 */
export interface CompactionFilter {
  /** For messages. */
  readonly name: string
  /**
   * Called with the newest version of a key, unless a snapshot or a scan that was open when the compaction began can see
   * it. Key and value are copies. It should depend on nothing but its arguments: an entry may be seen any number of times,
   * and its fate is sealed only when the compaction commits. When it throws, the compaction is tried again later.
   */
  filter(key: Uint8Array, value: Uint8Array, context: CompactionFilterContext): CompactionVerdict
  /**
   * Asked when a compaction begins; false: this one can do without the filter, and so may run in a worker thread or in
   * another process. Default: every compaction needs it.
   */
  isNeeded?(): boolean
}

/** The filters of a merge by keyspace, and the level that its tables are for. */
export interface TableFilters {
  of(keyspace: string): CompactionFilter | undefined
  readonly outputLevel: number
}

/** Asks a filter. UNAVAILABLE, so that it is asked again, when it throws or answers nonsense. */
export function askFilter(
  filter: CompactionFilter,
  key: Uint8Array,
  value: Uint8Array,
  context: CompactionFilterContext,
): CompactionVerdict {
  let verdict: unknown
  try {
    verdict = filter.filter(key, value, context)
  } catch (cause) {
    throw failure(filter, 'threw an error', cause)
  }
  if (verdict === 'keep' || verdict === 'remove') return verdict
  const replacement: unknown = (verdict as { replace?: unknown } | null | undefined)?.replace
  if (replacement instanceof Uint8Array && replacement.length <= MAX_VALUE_BYTES) return { replace: replacement }
  throw failure(filter, "answered neither 'keep' nor 'remove' nor { replace: Uint8Array } of at most 1 GiB", undefined)
}

const MAX_VALUE_BYTES = 0x4000_0000

function failure({ name }: CompactionFilter, what: string, cause: unknown): MoraineError {
  return new MoraineError('UNAVAILABLE', `compactionFilter '${name}' ${what}; the compaction is not done without it`, { cause })
}
