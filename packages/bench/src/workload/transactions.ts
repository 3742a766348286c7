import { isMoraineError, SeededRandom } from '@moraine/base'
import { type Db, type IsolationLevel, open } from 'moraine'
import { measureConcurrentRate } from './measure-rate.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

const HOT_KEYS = 10_000
const READS = 5
const WRITES = 5
const LANES = 16

const figureNames = (isolation: IsolationLevel): { rate: string; conflicts: string } => ({
  rate: `transactions of 5 reads and 5 writes, ${isolation}, 16 in flight`,
  conflicts: `conflicts in 1,000 transactions, ${isolation}, 16 in flight`,
})

const LEVELS: readonly IsolationLevel[] = ['snapshot', 'serializable']

/**
 * Optimistic transactions on hot keys; several are open at any time, and their steps alternate. Those that end with CONFLICT
 * are not counted in the rate.
 */
export const transactions: Workload = {
  name: 'transactions',
  figures: LEVELS.flatMap((isolation) => [
    { name: figureNames(isolation).rate, unit: 'per-second', better: 'more', target: '' } as const,
    { name: figureNames(isolation).conflicts, unit: 'count', better: 'less', target: '' } as const,
  ]),
  needs: 'own',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const { location, folder } = context.freshSettings()
    const db = await open(location, { wal: { kind: 'local', folder } })
    try {
      for (let i = 0; i < HOT_KEYS; i++) await db.put(context.dataset.key(i), context.dataset.value(i))
      const figures: Record<string, number> = {}
      for (const isolation of LEVELS) {
        const { ratePerSecond, conflictShare } = await measureLevel(context, db, isolation)
        figures[figureNames(isolation).rate] = ratePerSecond
        figures[figureNames(isolation).conflicts] = conflictShare * 1000
      }
      return figures
    } finally {
      await db.close()
    }
  },
}

async function measureLevel(
  context: MeasureContext,
  db: Db,
  isolation: IsolationLevel,
): Promise<{ ratePerSecond: number; conflictShare: number }> {
  const { dataset } = context
  const random = new SeededRandom(5)
  const keys = Array.from({ length: HOT_KEYS }, (_, i) => dataset.key(i))
  let [begun, conflicts] = [0, 0]
  const attemptsPerSecond = await measureConcurrentRate(context, LANES, async (i) => {
    begun++
    const tx = db.transaction({ isolation })
    for (let read = 0; read < READS; read++) await tx.get(random.pick(keys))
    for (let write = 0; write < WRITES; write++) await tx.put(random.pick(keys), dataset.value(i + write))
    try {
      await tx.commit()
    } catch (error) {
      if (!isMoraineError(error, 'CONFLICT')) throw error
      conflicts++
    }
  })
  const conflictShare = conflicts / begun
  return { ratePerSecond: attemptsPerSecond * (1 - conflictShare), conflictShare }
}
