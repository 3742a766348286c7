import { MemoryBudget } from '@moraine/base'
import { integerOption, type OptionCheck } from './option-checks.ts'

/** A budget to share, or the bytes of a budget of one's own. */
export type MemoryBudgetOption = MemoryBudget | number

const MIB = 1024 * 1024
const TIB = MIB * MIB
const budgetSize = integerOption(4 * MIB, TIB)

export const memoryBudgetOption: OptionCheck = (value) =>
  value instanceof MemoryBudget || budgetSize(value) === undefined ? undefined : `a MemoryBudget, or its bytes: ${budgetSize(value)}`

/** Sizes that follow from the budget where they are not given. */
export interface MemorySizes {
  readonly memtableSizeBytes: number
  readonly blockCacheSizeBytes: number
  readonly metadataCacheSizeBytes: number
  readonly targetFileSizeBytes: number
  readonly levelBaseSizeBytes: number
}

/**
 * The budget that memory is charged to, and the sizes of what uses it. Without a budget the sizes are the limits. With one,
 * caches may use whatever is left of it, and memtables, tables and the first level are small enough for it.
 */
export function memorySettings(
  option: MemoryBudgetOption | undefined,
  given: { readonly [Name in keyof MemorySizes]?: number | undefined },
): MemorySizes & { readonly memoryBudget: MemoryBudget } {
  const memoryBudget = budgetOf(option)
  const sizes = option === undefined ? UNBUDGETED : budgetedSizes(memoryBudget.totalBytes)
  return {
    memoryBudget,
    memtableSizeBytes: given.memtableSizeBytes ?? sizes.memtableSizeBytes,
    blockCacheSizeBytes: given.blockCacheSizeBytes ?? sizes.blockCacheSizeBytes,
    metadataCacheSizeBytes: given.metadataCacheSizeBytes ?? sizes.metadataCacheSizeBytes,
    targetFileSizeBytes: given.targetFileSizeBytes ?? sizes.targetFileSizeBytes,
    levelBaseSizeBytes: given.levelBaseSizeBytes ?? sizes.levelBaseSizeBytes,
  }
}

const UNBUDGETED: MemorySizes = {
  memtableSizeBytes: 32 * MIB,
  blockCacheSizeBytes: 64 * MIB,
  metadataCacheSizeBytes: 64 * MIB,
  targetFileSizeBytes: 32 * MIB,
  levelBaseSizeBytes: 128 * MIB,
}

function budgetedSizes(totalBytes: number): MemorySizes {
  return {
    memtableSizeBytes: between(MIB / 4, Math.floor(totalBytes / 10), 32 * MIB),
    blockCacheSizeBytes: totalBytes,
    metadataCacheSizeBytes: totalBytes,
    targetFileSizeBytes: between(MIB, Math.floor(totalBytes / 16), 32 * MIB),
    // As large as a level 0 that is due: with a larger one, small memtables would be merged with much at a time.
    levelBaseSizeBytes: between(MIB, Math.floor(totalBytes * 0.4), 128 * MIB),
  }
}

function budgetOf(option: MemoryBudgetOption | undefined): MemoryBudget {
  if (option instanceof MemoryBudget) return option
  return new MemoryBudget({ totalBytes: option ?? Number.POSITIVE_INFINITY })
}

function between(least: number, value: number, most: number): number {
  return Math.max(least, Math.min(value, most))
}
