import type { CompactionSettings, TieredSettings } from '../compaction/compaction-plan.ts'
import { checkOptions, integerOption, oneOfOption, type OptionChecks } from './option-checks.ts'

/** The shape that compaction gives the tree; a word alone takes the defaults of its style. */
export type CompactionOption = 'leveled' | 'tiered' | LeveledCompactionOption | TieredCompactionOption

/** Each level one sorted run of a bounded size: few places to read, little space lost, more bytes rewritten. */
export interface LeveledCompactionOption {
  readonly style: 'leveled'
}

/** Runs of similar size are merged whole: fewer bytes rewritten, more places to read, more space for old values. */
export interface TieredCompactionOption {
  readonly style: 'tiered'
  /** A merge takes the next older run in while it is at most this much larger than what it has already; default 20. */
  readonly sizeRatioPercent?: number
  /** Sorted runs that a merge for the sake of fewer runs takes at least; default 2. */
  readonly minMergeWidth?: number
  /** Sorted runs that one merge takes at most; default 32. */
  readonly maxMergeWidth?: number
  /** Tables of level 0 and non-empty levels; more are merged. Default 9. */
  readonly maxSortedRuns?: number
  /** Everything is merged when the newer runs weigh this much of the oldest one; default 200. */
  readonly spaceAmplificationPercent?: number
}

const leveledChecks: OptionChecks<LeveledCompactionOption> = { style: oneOfOption('leveled') }

const tieredChecks: OptionChecks<TieredCompactionOption> = {
  style: oneOfOption('tiered'),
  sizeRatioPercent: integerOption(0, 10_000),
  minMergeWidth: integerOption(2, 1000),
  maxMergeWidth: integerOption(2, 1000),
  maxSortedRuns: integerOption(2, 1000),
  spaceAmplificationPercent: integerOption(10, 1_000_000),
}

/** An option check: undefined when it is fine. Throws INVALID for a wrong setting inside the object. */
export function checkCompaction(value: unknown): string | undefined {
  const style: unknown = typeof value === 'object' && value !== null ? (value as { style?: unknown }).style : value
  if (style !== 'leveled' && style !== 'tiered') return "'leveled', 'tiered' or { style: 'leveled' | 'tiered', ... }"
  if (typeof value !== 'object') return undefined
  if (style === 'leveled') checkOptions('compaction', value as LeveledCompactionOption, leveledChecks)
  else checkOptions('compaction', value as TieredCompactionOption, tieredChecks)
  return undefined
}

export function compactionSettings(option: CompactionOption): Pick<CompactionSettings, 'compactionStyle' | 'tiered'> {
  const style = typeof option === 'string' ? option : option.style
  const given: Partial<TieredCompactionOption> = typeof option === 'object' && option.style === 'tiered' ? option : {}
  const tiered: TieredSettings = {
    sizeRatioPercent: given.sizeRatioPercent ?? 20,
    minMergeWidth: given.minMergeWidth ?? 2,
    maxMergeWidth: given.maxMergeWidth ?? 32,
    maxSortedRuns: given.maxSortedRuns ?? 9,
    spaceAmplificationPercent: given.spaceAmplificationPercent ?? 200,
  }
  return { compactionStyle: style, tiered }
}
