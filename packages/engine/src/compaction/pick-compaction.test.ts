// Invariant: the pickers are pure functions from a version, drawn here as text, to the plan that is written below it.
//
// One line a level, the newest table of level 0 first. A table is `first-last:size`, then `@oldest..newest` sequence
// numbers, `x40` forty tombstones among a hundred entries, `t5` made at five milliseconds.
import { expect, test } from 'vitest'
import type { FileId } from '../layout/object-names.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, type Version, versionDefect } from '../manifest/version.ts'
import { type CompactionPlan, type CompactionSettings, isTrivialMove, type PickContext, plansConflict } from './compaction-plan.ts'
import { pickCompaction } from './pick-compaction.ts'
import { manualTarget, pickManual, pickManualRewrite, tablesOf } from './pick-manual.ts'

const LEVELED: CompactionSettings = {
  compactionStyle: 'leveled',
  level0CompactionTrigger: 3,
  memtableSizeBytes: 100,
  targetFileSizeBytes: 100,
  levelBaseSizeBytes: 300,
  levelSizeMultiplier: 10,
  tiered: { sizeRatioPercent: 20, minMergeWidth: 2, maxMergeWidth: 10, maxSortedRuns: 6, spaceAmplificationPercent: 200 },
  compactionTombstonePercent: 0,
  blobGarbagePercent: 50,
  compactionMaxAgeMs: 0,
}
const TIERED: CompactionSettings = { ...LEVELED, compactionStyle: 'tiered' }
const NOW: PickContext = { oldestSnapshot: undefined, nowMs: 1000, running: [] }

const encoder = new TextEncoder()

function version(drawing: string): Version {
  const levels: TableFile[][] = Array.from({ length: LEVEL_COUNT }, () => [])
  let seq = 1000
  for (const line of drawing.trim().split('\n')) {
    const [level, ...tables] = line.trim().split(/\s+/)
    for (const table of tables) {
      const match = /^(\w+)-(\w+):(\d+)(?:@(\d+)\.\.(\d+))?(?:x(\d+))?(?:t(\d+))?$/.exec(table)
      if (match === null) throw new Error(`cannot read table '${table}'`)
      const [, first, last, size, oldest, newest, deletions, createdAt] = match
      seq -= 10
      levels[Number(level?.slice(1))]?.push({
        id: `${level}:${first}-${last}#${seq}` as FileId,
        sizeBytes: Number(size),
        tailOffset: 0,
        tailCrc32c: 0,
        entryCount: 100,
        deletionCount: Number(deletions ?? 0),
        smallestKey: encoder.encode(first),
        largestKey: encoder.encode(last),
        smallestSeq: Number(oldest ?? seq),
        largestSeq: Number(newest ?? seq + 5),
        rawBytes: Number(size),
        createdAtMs: Number(createdAt ?? 0),
      })
    }
  }
  const drawn = { levels }
  const defect = versionDefect(drawn)
  if (defect !== undefined) throw new Error(`the drawn version ${defect}`)
  return drawn
}

function words(plan: CompactionPlan | undefined): string {
  if (plan === undefined) return 'nothing'
  const inputs = plan.inputs.flatMap(({ files }) => files.map((file) => file.id.replace(/#.*/, ''))).join(' ')
  return `${plan.reason}${isTrivialMove(plan) ? ' move' : ''}: ${inputs} -> L${plan.outputLevel}`
}

function picked(drawing: string, settings: Partial<CompactionSettings>, context: Partial<PickContext> = {}): string {
  return words(pickCompaction(version(drawing), { ...LEVELED, ...settings }, { ...NOW, ...context }))
}

const LEVELED_CASES: [what: string, drawing: string, plan: string][] = [
  ['an empty version', 'L0', 'nothing'],
  ['levels within their sizes', 'L0 a-z:100 a-z:100\nL1 a-z:300\nL2 a-z:3000', 'nothing'],
  ['too many tables that meet', 'L0 a-m:100 d-p:100 k-z:100\nL1 a-c:100 q-z:100', 'level0-count: L0:a-m L0:d-p L0:k-z L1:a-c L1:q-z -> L1'],
  ['tables in key order', 'L0 k-m:100 e-g:100 a-c:100', 'level0-count move: L0:k-m L0:e-g L0:a-c -> L1'],
  ['some tables in key order', 'L0 k-m:100 e-g:100 a-c:100\nL1 f-h:100', 'level0-count move: L0:k-m L0:a-c -> L1'],
  ['the larger of two clusters', 'L0 k-m:100 a-d:100 b-e:100 l-n:100 c-f:100', 'level0-count: L0:a-d L0:b-e L0:c-f -> L1'],
  ['few tables of level 0, but large ones', 'L0 a-z:200 a-z:200', 'level0-bytes: L0:a-z L0:a-z -> L1'],
  ['small tables above a large level', 'L0 a-z:4 a-z:5 a-z:4\nL1 a-z:300', 'level0-merge: L0:a-z L0:a-z L0:a-z -> L0'],
  ['a large table stays out of a join', 'L0 a-z:40 a-z:4 a-z:5\nL1 a-z:300', 'level0-merge: L0:a-z L0:a-z -> L0'],
  ['the table that drags least along', 'L1 a-f:200 g-m:200\nL2 a-c:300 d-f:300 g-h:100', 'level-size: L1:g-m L2:g-h -> L2'],
  ['of equals the one written longest ago', 'L1 a-f:200@50..60 g-m:200@10..20', 'level-size move: L1:g-m -> L2'],
  ['neighbours that cost nothing', 'L1 a-b:100 c-d:100 e-f:100 g-h:100 i-j:100\nL2 a-b:500', 'level-size move: L1:g-h L1:i-j -> L2'],
  ['the fullest level first', 'L0 a-z:100 a-z:100 a-z:100\nL1 a-f:400 g-z:400\nL2 g-z:10', 'level-size move: L1:a-f -> L2'],
  ['the last level never', 'L6 a-z:99999999999', 'nothing'],
]

test.each(LEVELED_CASES)('leveled: %s', (_what, drawing, plan) => {
  expect(picked(drawing, {})).toBe(plan)
})

test('leveled: a range that is being compacted is left alone', () => {
  const drawing = 'L1 a-f:200 g-m:200\nL2 a-c:300 d-f:300 g-h:100'
  const first = pickCompaction(version(drawing), LEVELED, NOW) as CompactionPlan
  expect(picked(drawing, {}, { running: [first] })).toBe('level-size: L1:a-f L2:a-c L2:d-f -> L2')
})

test('leveled: while level 1 is being written, small tables of level 0 join', () => {
  const drawing = 'L0 a-z:20 a-z:10 a-z:10 a-z:50\nL1 a-z:60'
  const below = version('L0 a-z:50\nL1 a-z:60').levels
  const running: CompactionPlan = {
    reason: 'level0-count',
    inputs: [{ level: 1, files: below[1] as readonly TableFile[] }],
    outputLevel: 2,
  }
  expect(picked(drawing, {}, { running: [running] })).toBe('level0-merge: L0:a-z L0:a-z L0:a-z -> L0')
})

test('leveled: tables of united databases are not joined when that would blur what is newer', () => {
  // The first and the last table come from one origin, the middle one from another: their numbers cannot be compared.
  const drawing = 'L0 a-c:45@50..1020 m-z:4@1000..1010 a-c:5@10..20\nL1 a-z:300'
  expect(picked(drawing, {})).toBe('level0-count: L0:a-c L0:a-c L1:a-z -> L1')
  const harmless = 'L0 a-c:45@50..1020 m-z:4@30..40 a-c:5@10..20\nL1 a-z:300'
  expect(picked(harmless, {})).toBe('level0-merge: L0:m-z L0:a-c -> L0')
})

const TIERED_CASES: [what: string, drawing: string, plan: string][] = [
  ['few runs', 'L0 a-z:100 a-z:100\nL6 a-z:9000', 'nothing'],
  ['level 0 becomes a run above the next one', 'L0 a-z:100 a-z:100 a-z:100\nL5 a-z:9000', 'level0-count: L0:a-z L0:a-z L0:a-z -> L4'],
  ['the first run goes to the bottom', 'L0 a-z:100 a-z:100 a-z:100', 'level0-count: L0:a-z L0:a-z L0:a-z -> L6'],
  ['a run of the size of what is newer joins', 'L0 a-z:100 a-z:100 a-z:100\nL5 a-z:350\nL6 a-z:9000', 'size-ratio: L0:a-z L0:a-z L0:a-z L5:a-z -> L5'],
  ['and so does the next', 'L0 a-z:100 a-z:100 a-z:100\nL4 a-z:350\nL5 a-z:700\nL6 a-z:9000', 'size-ratio: L0:a-z L0:a-z L0:a-z L4:a-z L5:a-z -> L5'],
  ['what the oldest run holds elsewhere stays', 'L0 a-c:100 a-c:100 a-c:100\nL5 a-b:150 m-z:150\nL6 a-z:9000', 'size-ratio: L0:a-c L0:a-c L0:a-c L5:a-b -> L5'],
  ['too much that is superseded', 'L0 a-z:100 a-z:100 a-z:100\nL5 a-z:900\nL6 a-z:500', 'space: L0:a-z L0:a-z L0:a-z L5:a-z L6:a-z -> L6'],
  ['no empty level: runs move down', 'L0 a-z:100 a-z:100 a-z:100\nL1 a-z:900\nL3 a-z:4000\nL6 a-z:90000', 'make-room move: L3:a-z -> L5'],
  ['no empty level at all: the newest run joins', 'L0 a-z:9 a-z:9 a-z:9\nL1 a-z:99\nL2 a-z:900\nL3 a-z:1900\nL4 a-z:3900\nL5 a-z:9000\nL6 a-z:90000', 'size-ratio: L0:a-z L0:a-z L0:a-z L1:a-z -> L1'],
  ['too many runs: the cheapest neighbours', 'L0 a-z:90 a-z:90\nL2 a-z:900\nL3 a-z:1000\nL4 a-z:1100\nL5 a-z:4000\nL6 a-z:90000', 'run-count: L0:a-z L0:a-z -> L1'],
  ['too many runs below', 'L0 a-z:100\nL1 a-z:2000\nL2 a-z:2100\nL3 a-z:2200\nL4 a-z:4000\nL5 a-z:4000\nL6 a-z:90000', 'run-count: L0:a-z L1:a-z -> L1'],
  ['tables in key order sink to the bottom', 'L0 k-m:100 e-g:100 a-c:100\nL6 n-z:9000', 'level0-count move: L0:k-m L0:e-g L0:a-c -> L6'],
]

test.each(TIERED_CASES)('tiered: %s', (_what, drawing, plan) => {
  expect(picked(drawing, TIERED)).toBe(plan)
})

test('tiered: one merge takes no more runs than allowed, the oldest first', () => {
  const narrow = { ...TIERED, tiered: { ...TIERED.tiered, maxMergeWidth: 2 } }
  expect(picked('L0 a-d:1 a-c:1 a-b:1\nL6 a-z:100', narrow)).toBe('level0-count: L0:a-c L0:a-b -> L5')
})

const TABLE_CASES: [what: string, settings: Partial<CompactionSettings>, context: Partial<PickContext>, drawing: string, plan: string][] = [
  ['tombstones meet what they hide', { compactionTombstonePercent: 50 }, {}, 'L2 a-f:100x60\nL4 c-d:10', 'tombstones: L2:a-f L4:c-d -> L4'],
  ['tombstones at the bottom go in place', { compactionTombstonePercent: 50 }, {}, 'L2 a-f:100x60\nL4 g-h:10', 'tombstones: L2:a-f -> L2'],
  ['too few tombstones', { compactionTombstonePercent: 50 }, {}, 'L2 a-f:100x40', 'nothing'],
  ['tombstones that a snapshot still sees past', { compactionTombstonePercent: 50 }, { oldestSnapshot: 15 }, 'L2 a-f:100@10..20x60', 'nothing'],
  ['tombstones older than the snapshot', { compactionTombstonePercent: 50 }, { oldestSnapshot: 20 }, 'L2 a-f:100@10..20x60', 'tombstones: L2:a-f -> L2'],
  ['few tombstones over much data', { compactionTombstonePercent: 50 }, {}, 'L1 a-z:10x60\nL2 a-b:9 c-d:9 e-f:9 g-h:9 i-j:9 k-l:9', 'nothing'],
  ['tombstones in level 0 take older tables along', { compactionTombstonePercent: 50 }, {}, 'L0 a-f:100x60 c-g:100', 'tombstones: L0:a-f L0:c-g -> L1'],
  ['the densest first', { compactionTombstonePercent: 50 }, {}, 'L2 a-f:100x60 g-h:100x90', 'tombstones: L2:g-h -> L2'],
  ['old tables, neighbours together', { compactionMaxAgeMs: 500 }, {}, 'L3 a-b:100t600 c-d:100t3 e-f:100t4 g-h:100t700', 'age: L3:c-d L3:e-f -> L3'],
  ['an old table of level 0 goes down', { compactionMaxAgeMs: 500 }, {}, 'L0 a-b:100t3\nL1 c-d:100t900', 'age move: L0:a-b -> L1'],
  ['no table is old', { compactionMaxAgeMs: 500 }, {}, 'L3 a-b:100t500', 'nothing'],
  ['the shape comes first', { compactionMaxAgeMs: 500, compactionTombstonePercent: 1 }, {}, 'L1 a-f:400x9', 'level-size move: L1:a-f -> L2'],
]

test.each(TABLE_CASES)('tables: %s', (_what, settings, context, drawing, plan) => {
  expect(picked(drawing, settings, context)).toBe(plan)
})

test('manual: every table of level 0 that is connected to the range goes down', () => {
  const drawn = version('L0 a-c:10 b-f:10 e-h:10 x-z:10\nL1 a-b:10 g-k:10 m-z:10')
  const step = pickManual(drawn, 0, { gte: encoder.encode('a'), lt: encoder.encode('b') }, LEVELED)
  expect(words(step?.plan)).toBe('manual: L0:a-c L0:b-f L0:e-h L1:a-b L1:g-k -> L1')
})

test('manual: large levels go down in steps that do not come back', () => {
  const drawn = version('L1 a-b:900 c-d:900 e-f:900\nL2 c-f:10')
  const first = pickManual(drawn, 1, {}, LEVELED)
  expect(words(first?.plan)).toBe('manual move: L1:a-b -> L2')
  const second = pickManual(drawn, 1, first?.rest ?? {}, LEVELED)
  expect(words(second?.plan)).toBe('manual: L1:c-d L2:c-f -> L2')
  const third = pickManual(drawn, 1, second?.rest ?? {}, LEVELED)
  expect(words(third?.plan)).toBe('manual: L1:e-f L2:c-f -> L2')
  expect(pickManual(drawn, 1, third?.rest ?? {}, LEVELED)).toBeUndefined()
})

test('manual: the last level is rewritten, but for what this compaction made itself', () => {
  const drawn = version('L3 a-b:900 c-d:300 e-f:300 g-h:300')
  const stale = new Set([...tablesOf(drawn, { lt: encoder.encode('g') })].filter((id) => !id.startsWith('L3:a-b')))
  const step = pickManualRewrite(drawn, 3, {}, LEVELED, stale)
  expect(words(step?.plan)).toBe('manual: L3:c-d L3:e-f -> L3')
  expect(pickManualRewrite(drawn, 3, step?.rest ?? {}, LEVELED, stale)).toBeUndefined()
})

test('manual: a leveled tree gets its one run where there is room for it', () => {
  expect(manualTarget(version('L0 a-z:200'), {}, LEVELED)).toBe(1)
  expect(manualTarget(version('L0 a-z:200 a-z:200'), {}, LEVELED)).toBe(2)
  expect(manualTarget(version('L0 a-z:200\nL4 a-z:10'), {}, LEVELED)).toBe(4)
  expect(manualTarget(version('L0 a-z:200 a-z:200'), {}, TIERED)).toBe(1)
})

test('two compactions may run together only when keys or levels keep them apart', () => {
  const { levels } = version('L1 a-f:1 g-m:1\nL2 a-c:1 g-h:1\nL3 a-z:1')
  const plan = (level: number, at: number, outputLevel: number): CompactionPlan => ({
    reason: 'level-size',
    inputs: [{ level, files: [levels[level]?.[at] as TableFile] }],
    outputLevel,
  })
  expect(plansConflict(plan(1, 0, 2), plan(1, 1, 2))).toBe(false)
  expect(plansConflict(plan(1, 0, 2), plan(2, 0, 3))).toBe(true)
  expect(plansConflict(plan(1, 0, 1), plan(2, 0, 3))).toBe(false)
})
