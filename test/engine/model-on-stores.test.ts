// Invariant: the model holds on a real folder as it does in memory, with files synced, replaced and listed by the disk.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { FileObjectStore } from '@moraine/object-store'
import { driveModel, MortalObjectStore } from '@moraine/testing'
import { open } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SMALL_SETTINGS } from './small-settings.ts'

describe('a database in a folder against the model', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-model-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  for (const [seed, log] of [[1, 'local'], [2, 'local'], [3, 'object-store']] as const) {
    test(`seed ${seed}, log: ${log}`, async () => {
      const wal = log === 'local' ? ({ kind: log, folder: join(folder, 'wal'), sync: 'never' } as const) : log
      let mortal: MortalObjectStore | undefined
      const subject = {
        open: () => {
          mortal = new MortalObjectStore(new FileObjectStore({ root: join(folder, 'bucket'), fsync: false }))
          return open({ store: mortal, prefix: 'model/a' }, { ...SMALL_SETTINGS, wal })
        },
        kill: async () => mortal?.kill(),
      }
      const options = { random: new SeededRandom(seed), steps: 500, survives: 'acknowledged' } as const
      await expect(driveModel(subject, options)).resolves.toBeUndefined()
    })
  }
})
