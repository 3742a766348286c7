// Invariant: whatever shape compaction gives the tree, and for whatever reason it picks tables, a database answers as a sorted map would.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { driveModel, MortalObjectStore } from '@moraine/testing'
import { open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { SMALL } from './subject.ts'

const SEEDS = Number(process.env['MORAINE_MODEL_SEEDS'] ?? 3)

const SHAPES: Record<string, OpenOptions> = {
  'tiered': { compaction: 'tiered' },
  'tiered, few runs': { compaction: { style: 'tiered', maxSortedRuns: 3, sizeRatioPercent: 0, spaceAmplificationPercent: 1000 } },
  'tiered, narrow merges': { compaction: { style: 'tiered', maxMergeWidth: 2, maxSortedRuns: 5 }, level0CompactionTrigger: 4 },
  'leveled, small tables join in level 0': { targetFileSizeBytes: 64 * 1024, level0CompactionTrigger: 4 },
  'leveled, every tombstone is chased': { compactionTombstonePercent: 1 },
}

describe('compaction styles against the model', () => {
  for (const [shape, options] of Object.entries(SHAPES)) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      test(`${shape}, seed ${seed}`, async () => {
        await expect(drive(seed, { ...SMALL, ...options })).resolves.toBeUndefined()
      })
    }
  }

  test('the style may change from opening to opening', async () => {
    await expect(
      drive(99, { ...SMALL, level0CompactionTrigger: 2 }, (opening) => (opening % 2 === 0 ? 'leveled' : 'tiered')),
    ).resolves.toBeUndefined()
  })
})

async function drive(
  seed: number,
  options: OpenOptions,
  style?: (opening: number) => 'leveled' | 'tiered',
): Promise<void> {
  const store = new MemoryObjectStore()
  let mortal: MortalObjectStore | undefined
  let openings = 0
  await driveModel(
    {
      open: () => {
        mortal = new MortalObjectStore(store)
        const chosen = style === undefined ? options : { ...options, compaction: style(openings++) }
        return open({ store: mortal, prefix: 'model' }, chosen)
      },
      kill: async () => mortal?.kill(),
    },
    { random: new SeededRandom(seed), steps: 1200, survives: 'flushed' },
  )
}
