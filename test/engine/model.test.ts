// Invariant: whatever is done to a database, it answers as a sorted map would. Killed at any moment it keeps a prefix of
// its history: all acknowledged writes with a log, all flushed ones without.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { driveModel, MortalObjectStore } from '@moraine/testing'
import { open, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SMALL_SETTINGS } from './small-settings.ts'

const SEEDS = Number(process.env['MORAINE_MODEL_SEEDS'] ?? 6)
const FIRST_SEED = Number(process.env['MORAINE_MODEL_FIRST_SEED'] ?? 1)

describe('a database against the model', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-model-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    test(`with a local log, seed ${seed}`, async () => {
      const wal = { kind: 'local', folder: join(folder, 'wal'), sync: 'never' } as const
      await expect(drive(seed, { ...SMALL_SETTINGS, wal }, 'acknowledged')).resolves.toBeUndefined()
    })

    test(`with a log in the store, seed ${seed}`, async () => {
      await expect(drive(seed, { ...SMALL_SETTINGS, wal: 'object-store' }, 'acknowledged')).resolves.toBeUndefined()
    })

    test(`without a log, seed ${seed}`, async () => {
      await expect(drive(seed, { ...SMALL_SETTINGS, wal: 'none' }, 'flushed')).resolves.toBeUndefined()
    })
  }
})

async function drive(seed: number, options: OpenOptions, survives: 'acknowledged' | 'flushed'): Promise<void> {
  const store = new MemoryObjectStore()
  let mortal: MortalObjectStore | undefined
  await driveModel(
    {
      open: () => {
        mortal = new MortalObjectStore(store)
        return open({ store: mortal, prefix: 'model' }, options)
      },
      kill: async () => mortal?.kill(),
    },
    { random: new SeededRandom(seed), steps: 1500, survives },
  )
}
