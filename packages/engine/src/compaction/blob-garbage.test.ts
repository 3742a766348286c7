// Invariant: tables that keep blob files of which little is in use are rewritten, the emptiest first, a bounded part at a
// time; every such plan leads to fewer links to garbage, so the plans come to an end and no garbage is left.
import { SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import { BLOB_FOOTER_BYTES, BLOB_HEADER_BYTES } from '../blob/blob-format.ts'
import type { FileId } from '../layout/object-names.ts'
import type { BlobLink } from '../manifest/blob-link.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { applyEdit, LEVEL_COUNT, type Version } from '../manifest/version.ts'
import { blobGarbage, relocatedBlobs } from './blob-garbage.ts'
import { type CompactionPlan, type CompactionSettings, isTrivialMove, type PickContext } from './compaction-plan.ts'
import { pickCompaction } from './pick-compaction.ts'
import { borrowedTables } from './pick-manual.ts'

const SETTINGS: CompactionSettings = {
  compactionStyle: 'leveled',
  level0CompactionTrigger: 100,
  memtableSizeBytes: 1e9,
  targetFileSizeBytes: 100,
  levelBaseSizeBytes: 1e9,
  levelSizeMultiplier: 10,
  tiered: { sizeRatioPercent: 20, minMergeWidth: 2, maxMergeWidth: 10, maxSortedRuns: 6, spaceAmplificationPercent: 200 },
  compactionTombstonePercent: 0,
  compactionMaxAgeMs: 0,
  blobGarbagePercent: 50,
}
const CONTEXT: PickContext = { oldestSnapshot: undefined, nowMs: 0, running: [] }
const RECORDS_BYTES = 1000

function link(id: string, liveBytes: number, recordsBytes = RECORDS_BYTES): BlobLink {
  return { id: id as FileId, sizeBytes: recordsBytes + BLOB_HEADER_BYTES + BLOB_FOOTER_BYTES, liveBytes }
}

let made = 0
function table(first: number, last: number, blobs: readonly BlobLink[], more: Partial<TableFile> = {}): TableFile {
  return {
    id: `t${++made}` as FileId,
    sizeBytes: 50,
    tailOffset: 0,
    tailCrc32c: 0,
    entryCount: 10,
    deletionCount: 0,
    smallestKey: new Uint8Array([first]),
    largestKey: new Uint8Array([last]),
    smallestSeq: 1,
    largestSeq: 2,
    rawBytes: 50,
    createdAtMs: 0,
    ...(blobs.length > 0 && { blobs }),
    ...more,
  }
}

function version(...levels: TableFile[][]): Version {
  return { levels: Array.from({ length: LEVEL_COUNT }, (_, level) => levels[level] ?? []) }
}

function pick(drawn: Version, settings: Partial<CompactionSettings> = {}): CompactionPlan | undefined {
  return pickCompaction(drawn, { ...SETTINGS, ...settings }, CONTEXT)
}

test('a file is garbage when the links of all tables together refer to too little of it', () => {
  const drawn = version([], [table(1, 2, [link('a', 300), link('b', 300)]), table(3, 4, [link('a', 150)])], [table(1, 9, [link('b', 200)])])
  expect([...blobGarbage(drawn, SETTINGS)]).toEqual([['a', 0.45]])
  expect(blobGarbage(drawn, { blobGarbagePercent: 0 }).size).toBe(0)
})

test('a file that was just written never is, however high the setting', () => {
  expect(blobGarbage(version([], [table(1, 2, [link('a', RECORDS_BYTES)])]), { blobGarbagePercent: 90 }).size).toBe(0)
})

test('the tables that keep it are rewritten in their place, neighbours together, a bounded part at a time', () => {
  const [one, two, three] = [table(1, 2, [link('a', 100)]), table(3, 4, [link('a', 100)]), table(5, 6, [link('b', RECORDS_BYTES)])]
  const plan = pick(version([], [], [one, two, three]))
  expect(plan).toMatchObject({ reason: 'blob-garbage', outputLevel: 2 })
  expect(plan?.inputs).toEqual([{ level: 2, files: [one, two] }])
  const wide = Array.from({ length: 40 }, (_, i) => table(i * 2, i * 2 + 1, [link(`g${i}`, 200)]))
  expect(pick(version([], wide))?.inputs[0]?.files.length).toBeLessThan(10)
})

test('the emptiest first; nothing while the setting is zero', () => {
  const [one, two] = [table(1, 2, [link('a', 400)]), table(3, 4, [link('b', 10)])]
  const drawn = version([], [one], [two])
  expect(pick(drawn)?.inputs).toEqual([{ level: 2, files: [two] }])
  expect(pick(drawn, { blobGarbagePercent: 0 })).toBeUndefined()
})

test('any compaction moves what it meets of garbage; of borrowed files only when they are to be left', () => {
  const origin = { databaseId: 'd', place: { kind: 'sibling', prefix: 'p' } } as const
  const borrowed = { ...link('c', 900), origin }
  const input = table(1, 2, [link('a', 100), link('b', 900), borrowed])
  const drawn = version([], [input])
  const plan: CompactionPlan = { reason: 'age', inputs: [{ level: 1, files: [input] }], outputLevel: 1 }
  expect(relocatedBlobs(plan, drawn, SETTINGS, false)).toEqual(['a'])
  expect(relocatedBlobs(plan, drawn, SETTINGS, true)).toEqual(['a', 'c'])
  expect([...borrowedTables(drawn)]).toEqual([input.id])
})

/** What becomes of a version: outputs keep the links to files that stay, and have one to a new file for what moved. */
function apply(drawn: Version, plan: CompactionPlan): Version {
  const garbage = new Set(relocatedBlobs(plan, drawn, SETTINGS, false))
  const removed = plan.inputs.flatMap(({ level, files }) => files.map((file) => ({ level, file })))
  if (isTrivialMove(plan)) return applyEdit(drawn, { removed, added: removed.map(({ file }) => ({ level: plan.outputLevel, file })) })
  const links = removed.flatMap(({ file }) => file.blobs ?? [])
  const kept = links.filter(({ id }) => !garbage.has(id))
  const moved = links.reduce((bytes, { id, liveBytes }) => (garbage.has(id) ? bytes + liveBytes : bytes), 0)
  const merged = new Map<string, BlobLink>()
  for (const each of kept) merged.set(each.id, { ...each, liveBytes: each.liveBytes + (merged.get(each.id)?.liveBytes ?? 0) })
  const blobs = [...merged.values(), ...(moved > 0 ? [link(`new${++made}`, moved, moved)] : [])]
  const keys = removed.flatMap(({ file }) => [file.smallestKey[0] as number, file.largestKey[0] as number])
  const seqs = { smallestSeq: Math.min(...removed.map(({ file }) => file.smallestSeq)), largestSeq: Math.max(...removed.map(({ file }) => file.largestSeq)) }
  return applyEdit(drawn, { removed, added: [{ level: plan.outputLevel, file: table(Math.min(...keys), Math.max(...keys), blobs, seqs) }] })
}

test('plans come to an end, whatever the links, and leave no garbage', () => {
  const random = new SeededRandom(9)
  for (let round = 0; round < 100; round++) {
    let seq = 1000
    const levels = [0, 1, 2, 3].map((level) =>
      Array.from({ length: random.below(6) }, (_, i) => {
        seq -= 10
        const blobs = Array.from({ length: random.below(4) }, () => link(`b${random.below(8)}`, 1 + random.below(200)))
        const unique = [...new Map(blobs.map((each) => [each.id, each])).values()]
        return table(i * 10, i * 10 + 5, unique, level === 0 ? { smallestSeq: seq, largestSeq: seq + 5 } : {})
      }),
    )
    let drawn = version(...levels)
    let plans = 0
    for (let plan = pick(drawn); plan !== undefined; plan = pick(drawn)) {
      expect(++plans).toBeLessThan(100)
      drawn = apply(drawn, plan)
    }
    expect(blobGarbage(drawn, SETTINGS).size).toBe(0)
  }
})
