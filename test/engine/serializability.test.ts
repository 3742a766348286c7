// Invariant: committed serializable transactions have seen what they would have seen one after the other, in the order of
// their commits; at snapshot isolation every read is of the transaction's beginning and no update is lost; and no commit
// is refused without a reason.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { driveTransactions, type TransactionHistory } from '@moraine/testing'
import { type IsolationLevel, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { QUIET, SMALL } from './subject.ts'

const SEEDS = Number(process.env['MORAINE_TRANSACTION_SEEDS'] ?? 100)
const FIRST_SEED = Number(process.env['MORAINE_TRANSACTION_FIRST_SEED'] ?? 1)

const LEVELS: Record<string, readonly IsolationLevel[]> = {
  snapshot: ['snapshot'],
  serializable: ['serializable'],
  mixed: ['snapshot', 'serializable'],
}

async function drive(seed: number, isolation: readonly IsolationLevel[]): Promise<TransactionHistory> {
  const random = new SeededRandom(seed)
  // Warm or cold, with compactions or without.
  const cold = random.chance(0.5) ? { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 } : {}
  const db = await open({ store: new MemoryObjectStore() }, { ...(random.chance(0.5) ? SMALL : QUIET), ...cold })
  const history = await driveTransactions(db, { random, steps: 150, isolation, most: 1 + random.below(5) })
  expect(db.stats()).toMatchObject({ transactions: { open: 0, windowBytes: 0 }, lastSequence: history.lastSeq })
  await db.close()
  return history
}

describe.each(Object.keys(LEVELS))('%s transactions at random', (level) => {
  test(`${SEEDS} seeds`, { timeout: 120_000 }, async () => {
    let [committed, conflicts, anomalies] = [0, 0, 0]
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const history = await drive(seed, LEVELS[level] as readonly IsolationLevel[]).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      })
      for (const tx of history.transactions) {
        if (tx.end === undefined) continue
        if (tx.end.outcome === 'ok') {
          committed++
          if (history.firstWrongAnswer(tx, tx.end.after) !== undefined) anomalies++
        } else conflicts++
      }
    }
    // The seeds have seen what they are for.
    expect(committed).toBeGreaterThan(SEEDS)
    expect(conflicts).toBeGreaterThan(SEEDS / 4)
    if (level === 'serializable') expect(anomalies).toBe(0)
    else expect(anomalies).toBeGreaterThan(0)
  })
})
