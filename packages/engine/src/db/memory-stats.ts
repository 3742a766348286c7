import type { MemoryAccount, MemoryBudgetStats, MemoryUse } from '@moraine/base'

/** Memory that a database or a reader uses, by what it is for; bytes. */
export interface MemoryStats extends MemoryUse {
  readonly usedBytes: number
  /** The budget it is charged to, with what all its databases use together; undefined without one. */
  readonly budget: MemoryBudgetStats | undefined
}

export function memoryStats({ budget, use }: MemoryAccount): MemoryStats {
  return {
    ...use,
    usedBytes: Object.values(use).reduce((sum: number, bytes: number) => sum + bytes, 0),
    budget: Number.isFinite(budget.totalBytes) ? budget.stats() : undefined,
  }
}
