import { open, WriteBatch } from 'moraine'
import type { Figures, MeasureContext, Workload } from './workload.ts'

const ROUNDS = 4
const BATCH = 100

/**
 * How fast one core merges: four overlapping tables into one level, on the calling thread. Bytes are those of keys and
 * values before compression, read once and written once.
 */
export const compactionRate: Workload = {
  name: 'compaction-rate',
  figures: [
    { name: 'compaction on one core, raw MB', unit: 'per-second', better: 'more', target: '' },
    { name: 'compaction on one core, entries', unit: 'per-second', better: 'more', target: '' },
  ],
  needs: 'own',
  only: ['moraine'],
  async measure(context: MeasureContext): Promise<Figures> {
    const { dataset, rows } = context
    const db = await open(context.freshSettings().location, {
      wal: 'none',
      workerThreads: 0,
      level0CompactionTrigger: ROUNDS + 1,
      level0StopTrigger: ROUNDS + 8,
    })
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < rows; i += BATCH) {
        const batch = new WriteBatch()
        // Every round writes keys of its own between those of the others: nothing is dropped, everything overlaps.
        for (let k = i; k < i + BATCH; k++) {
          const [key, value] = dataset.entry(k * ROUNDS + round)
          batch.put(key, value)
        }
        await db.write(batch)
      }
      await db.flush()
    }
    const { rawBytes, entries } = db.stats().levels.reduce(
      (sum, level) => ({ rawBytes: sum.rawBytes + level.rawBytes, entries: sum.entries + level.entries }),
      { rawBytes: 0, entries: 0 },
    )
    const startMs = context.nowMs()
    await db.compact()
    const seconds = (context.nowMs() - startMs) / 1000
    await db.close()
    return {
      'compaction on one core, raw MB': rawBytes / 1e6 / seconds,
      'compaction on one core, entries': entries / seconds,
    }
  },
}
