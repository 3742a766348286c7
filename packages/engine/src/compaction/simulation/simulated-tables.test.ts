// Invariant: from any version the pickers come to a fixed point: plan after plan is carried out until there is none, each of them
// leaves a sound version that answers as before, and the work until then is bounded.
import { SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { TableFile } from '../../manifest/table-file.ts'
import { applyEdit, EMPTY_VERSION, type Version, versionDefect } from '../../manifest/version.ts'
import { type CompactionSettings, inputBytes, isTrivialMove } from '../compaction-plan.ts'
import { pickCompaction } from '../pick-compaction.ts'
import { manualTarget, pickManual, pickManualRewrite, tablesOf } from '../pick-manual.ts'
import { SimulatedTables } from './simulated-tables.ts'

const SEEDS = 150
const ENTRY_BYTES = 10
const KEYS = 400

function randomSettings(random: SeededRandom): CompactionSettings {
  return {
    compactionStyle: random.chance(0.5) ? 'tiered' : 'leveled',
    level0CompactionTrigger: 1 + random.below(6),
    memtableSizeBytes: 300 + random.below(1000),
    targetFileSizeBytes: 50 + random.below(1000),
    levelBaseSizeBytes: 100 + random.below(3000),
    levelSizeMultiplier: 2 + random.below(9),
    tiered: {
      sizeRatioPercent: random.below(150),
      minMergeWidth: 2 + random.below(3),
      maxMergeWidth: 2 + random.below(12),
      maxSortedRuns: 2 + random.below(9),
      spaceAmplificationPercent: 10 + random.below(400),
    },
    compactionTombstonePercent: random.chance(0.3) ? 0 : 1 + random.below(100),
    blobGarbagePercent: 50,
    compactionMaxAgeMs: random.chance(0.5) ? 0 : 1000,
  }
}

/** A memtable's worth of writes with sequence numbers after `seq`. */
function flush(tables: SimulatedTables, random: SeededRandom, seq: number, nowMs: number): TableFile {
  const first = random.below(KEYS)
  const span = random.chance(0.3) ? 1 + random.below(40) : KEYS - first
  const writes = new Map<number, number>()
  for (let i = 1 + random.below(60); i > 0; i--) writes.set(first + random.below(span), ++seq)
  const keys = [...writes.keys()].sort((a, b) => a - b)
  const deletes = random.chance(0.3) ? 0.9 : 0.2
  return tables.make(
    {
      keys: Uint32Array.from(keys),
      seqs: Uint32Array.from(keys, (key) => writes.get(key) as number),
      deleted: Uint8Array.from(keys, () => (random.chance(deletes) ? 1 : 0)),
    },
    nowMs,
  )
}

/** What reads would find: the newest version of every key that is not a tombstone, by looking from the newest place on. */
function answers(tables: SimulatedTables, version: Version): Map<number, number> {
  const found = new Map<number, { seq: number; deleted: boolean }>()
  for (const file of version.levels.flat()) {
    const { keys, seqs, deleted } = tables.entriesOf(file)
    for (const [i, key] of keys.entries()) {
      if (!found.has(key)) found.set(key, { seq: seqs[i] as number, deleted: deleted[i] === 1 })
    }
  }
  const alive = [...found].filter(([, { deleted }]) => !deleted).sort(([a], [b]) => a - b)
  return new Map(alive.map(([key, { seq }]) => [key, seq]))
}

class Tree {
  readonly random: SeededRandom
  readonly tables: SimulatedTables
  version: Version = EMPTY_VERSION
  nowMs = 0
  seq = 0
  plans = 0
  mergedBytes = 0

  constructor(seed: number, settings: (random: SeededRandom) => CompactionSettings) {
    this.random = new SeededRandom(seed)
    this.settings = settings(this.random)
    const { targetFileSizeBytes } = this.settings
    this.tables = new SimulatedTables({ entryBytes: ENTRY_BYTES, tombstoneBytes: 4, targetFileSizeBytes })
  }

  readonly settings: CompactionSettings

  flush(): void {
    const file = flush(this.tables, this.random, this.seq, this.nowMs)
    this.seq += 100
    this.version = applyEdit(this.version, { removed: [], added: [{ level: 0, file }] })
  }

  apply(plan: Parameters<SimulatedTables['apply']>[1]): void {
    if (++this.plans > 5000) throw new Error(`no end after ${this.plans} plans: ${plan.reason}`)
    if (!isTrivialMove(plan)) this.mergedBytes += inputBytes(plan)
    const before = answers(this.tables, this.version)
    this.version = this.tables.apply(this.version, plan, this.nowMs).version
    expect(versionDefect(this.version)).toBeUndefined()
    expect(answers(this.tables, this.version)).toEqual(before)
  }

  settle(): number {
    const before = this.plans
    for (;;) {
      const context = { oldestSnapshot: undefined, nowMs: this.nowMs, running: [] }
      const plan = pickCompaction(this.version, this.settings, context)
      if (plan === undefined) return this.plans - before
      this.apply(plan)
    }
  }
}

describe('the pickers come to rest', () => {
  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('seed %i', (seed) => {
    const tree = new Tree(seed, randomSettings)
    const flushes = 5 + tree.random.below(25)
    for (let i = 0; i < flushes; i++) {
      tree.flush()
      tree.nowMs += tree.random.below(400)
      if (tree.random.chance(0.7)) tree.settle()
    }
    const tables = tree.version.levels.flat().length
    // Each table sinks through the levels at most, is rewritten in place once, or joins in level 0.
    expect(tree.settle()).toBeLessThanOrEqual(20 + 12 * tables)
    expect(tree.settle()).toBe(0)
  })

  test.each(Array.from({ length: 40 }, (_, i) => i + 1))('after the style changed, seed %i', (seed) => {
    const tree = new Tree(seed, randomSettings)
    for (let i = 0; i < 12; i++) {
      tree.flush()
      tree.settle()
    }
    const other = tree.settings.compactionStyle === 'leveled' ? 'tiered' : 'leveled'
    Object.assign(tree.settings, { compactionStyle: other })
    tree.settle()
    expect(tree.settle()).toBe(0)
  })

  test.each(Array.from({ length: 40 }, (_, i) => i + 1))('a manual compaction leaves one sorted run without tombstones, seed %i', (seed) => {
    const tree = new Tree(seed, randomSettings)
    for (let i = 0; i < 15; i++) {
      tree.flush()
      if (tree.random.chance(0.6)) tree.settle()
    }
    const target = manualTarget(tree.version, {}, tree.settings)
    const stale = tablesOf(tree.version, {})
    for (let level = 0; level < target; level++) {
      for (let step = pickManual(tree.version, level, {}, tree.settings); step !== undefined; ) {
        tree.apply(step.plan)
        step = pickManual(tree.version, level, step.rest, tree.settings)
      }
    }
    for (let step = pickManualRewrite(tree.version, target, {}, tree.settings, stale); step !== undefined; ) {
      tree.apply(step.plan)
      step = pickManualRewrite(tree.version, target, step.rest, tree.settings, stale)
    }
    const levels = tree.version.levels.flatMap((files, level) => (files.length > 0 ? [level] : []))
    expect(levels.length).toBeLessThanOrEqual(1)
    expect(tree.version.levels.flat().every((file) => file.deletionCount === 0)).toBe(true)
  })
})
