// Invariant: several engines at once on one store, doing everything an engine can do in random order, each answer as their
// models do. A failing seed is kept here by name.
import { driveFleet } from '@moraine/testing'
import { expect, test } from 'vitest'
import { SMALL_SETTINGS } from '../engine/small-settings.ts'

const SEEDS = Number(process.env['MORAINE_FLEET_SEEDS'] ?? 4)
const FIRST_SEED = Number(process.env['MORAINE_FLEET_FIRST_SEED'] ?? 1)
const settings = { ...SMALL_SETTINGS, workerThreads: 0 }

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
  test(`a fleet without logs, seed ${seed}`, async () => {
    const done = await driveFleet({ seed, steps: 300, settings: { ...settings, wal: 'none' }, survives: 'flushed' })
    expect(done.get('write')).toBeGreaterThan(0)
  }, 120_000)

  test(`a fleet with logs in the store, seed ${seed}`, async () => {
    const wal = { kind: 'object-store' } as const
    const done = await driveFleet({ seed, steps: 300, settings: { ...settings, wal }, survives: 'acknowledged' })
    expect(done.get('write')).toBeGreaterThan(0)
  }, 120_000)
}
