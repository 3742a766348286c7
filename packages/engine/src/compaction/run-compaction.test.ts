/**
 * Invariant: after every step of a compaction the version is sound and reads the same, at the present and at every
 * snapshot, however many merges run side by side and in whatever order they end; a failed part fails the whole.
 */
import { MoraineError, SeededRandom, systemClock, toHex } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { defaultSstWriterSettings } from '@moraine/sstable'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { newFileId } from '../layout/object-names.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { applyEdit, EMPTY_VERSION, filesOf, type Version, versionDefect } from '../manifest/version.ts'
import { Memtable } from '../memtable/memtable.ts'
import type { FlushJob } from '../table/byte-work.ts'
import { InlineByteWork } from '../table/inline-byte-work.ts'
import { SCAN_READ_AHEAD, tableIterator } from '../table/table-iterator.ts'
import { TableStore } from '../table/table-store.ts'
import { TableWriter } from '../table/table-writer.ts'
import { CompactionInputs } from './compaction-inputs.ts'
import type { CompactionPlan } from './compaction-plan.ts'
import { runCompaction } from './run-compaction.ts'

const writer = { ...defaultSstWriterSettings, compression: 'none' as const, createdAtMs: 1 }

function plainRules(snapshots: readonly number[]): FlushJob {
  return { writer, snapshots, compressions: [], ttlNowMs: 0, operators: [] }
}
const TARGET_BYTES = 3_000
const PER_ROUND = 600

let store: MemoryObjectStore
let tables: TableStore
let tableWriter: TableWriter
beforeEach(() => {
  store = new MemoryObjectStore()
  tables = new TableStore(() => store, { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 1 << 20 })
  const random = new SeededRandom(5)
  const options = { store, tables, clock: systemClock, newId: () => newFileId(1 as Epoch, random) }
  tableWriter = new TableWriter(options)
})

/** A table of PER_ROUND random writes, cut as compaction would cut it. */
async function tablesOf(round: number, targetSizeBytes: number): Promise<TableFile[]> {
  const random = new SeededRandom(round + 1)
  const memtable = new Memtable()
  for (let i = 0; i < PER_ROUND; i++) {
    const key = new Uint8Array([random.below(2), random.below(256), random.below(3)])
    const value = random.fill(new Uint8Array(20))
    memtable.insert(round * PER_ROUND + i + 1, random.below(4) === 0 ? 0 : 1, key, 0, key.length, value, 0, 20)
  }
  const work = new InlineByteWork({ tables, clock: systemClock })
  const signal = new AbortController().signal
  const whole: TableFile[] = []
  for await (const table of work.flush(memtable, plainRules([]), signal)) whole.push(await tableWriter.upload(table))
  if (targetSizeBytes === Number.POSITIVE_INFINITY) return whole
  const cut: TableFile[] = []
  const job = { ...plainRules([]), runs: [whole], deeper: [[ALL]], targetSizeBytes }
  for await (const table of work.merge(job, signal)) cut.push(await tableWriter.upload(table))
  return cut
}

const ALL = { smallestKey: new Uint8Array(0), largestKey: new Uint8Array([255]), range: undefined }

/** Level 2 is one run, level 1 a newer one, level 0 has two tables on top. */
async function version(): Promise<Version> {
  const added = [
    ...(await tablesOf(0, TARGET_BYTES)).map((file) => ({ level: 2, file })),
    ...(await tablesOf(1, TARGET_BYTES)).map((file) => ({ level: 1, file })),
    ...(await tablesOf(2, Number.POSITIVE_INFINITY)).map((file) => ({ level: 0, file })),
    ...(await tablesOf(3, Number.POSITIVE_INFINITY)).map((file) => ({ level: 0, file })),
  ]
  return applyEdit(EMPTY_VERSION, { removed: [], added })
}

/** What a read at `seq` finds, as text. */
async function contentsAt(seq: number, { levels }: Version): Promise<Record<string, string>> {
  const newest = new Map<string, { seq: number; value: string | undefined }>()
  for (const file of levels.flat()) {
    const it = tableIterator(tables, file, SCAN_READ_AHEAD)
    await it.seekToFirst()
    while (it.valid) {
      const key = toHex(it.keyBytes.subarray(it.keyStart, it.keyEnd))
      const value = it.kind === 1 ? toHex(it.valueBytes.subarray(it.valueStart, it.valueEnd)) : undefined
      const known = newest.get(key)
      if (it.seq <= seq && (known === undefined || known.seq < it.seq)) newest.set(key, { seq: it.seq, value })
      await it.next()
    }
  }
  const found = [...newest].flatMap(([key, { value }]) => (value === undefined ? [] : [[key, value] as const]))
  return Object.fromEntries(found.sort())
}

interface Outcome {
  readonly version: Version
  readonly steps: number
  readonly gone: readonly string[]
}

/** Compacts levels 0 and 1 into `outputLevel`, and looks at the version after every step. */
async function compact(start: Version, parallelMerges: number, outputLevel: 1 | 2, snapshots: number[]): Promise<Outcome> {
  const inputs = [0, 1, 2].slice(0, outputLevel + 1).map((level) => ({ level, files: start.levels[level] as TableFile[] }))
  const plan: CompactionPlan = { reason: 'manual', inputs, outputLevel }
  const reads = [...snapshots, 4 * PER_ROUND]
  const wanted = await Promise.all(reads.map((seq) => contentsAt(seq, start)))
  const progress = new CompactionInputs(plan)
  let current = start
  let steps = 0
  const gone: string[] = []
  await runCompaction({
    plan,
    version: start,
    rules: () => plainRules(snapshots),
    targetFileSizeBytes: TARGET_BYTES,
    byteWork: new InlineByteWork({ tables, clock: systemClock, parallelMerges }),
    tableWriter,
    publish: async (outputs, mergedTo) => {
      const { edit, committed } = progress.step(outputs, mergedTo)
      current = applyEdit(current, edit)
      steps++
      gone.push(...committed(current).map(({ id }) => id))
      expect(versionDefect(current)).toBeUndefined()
      for (const [i, seq] of reads.entries()) expect(await contentsAt(seq, current)).toEqual(wanted[i])
      tableWriter.published(outputs)
    },
    signal: new AbortController().signal,
  })
  return { version: current, steps, gone }
}

describe('runCompaction', () => {
  test.each([1, 2, 3])('reads the same after every step, %i merges side by side', async (parallelMerges) => {
    const start = await version()
    const result = await compact(start, parallelMerges, 1, [PER_ROUND * 2, PER_ROUND * 3 + 100])
    expect(result.steps).toBeGreaterThan(3)
    expect(result.version.levels[0]).toEqual([])
    // Every input left the version, once, and only when its last part had.
    const inputs = [...(start.levels[0] as TableFile[]), ...(start.levels[1] as TableFile[])].map(({ id }) => id)
    expect([...result.gone].sort()).toEqual(inputs.sort())
    expect(new Set([...filesOf(result.version)].map(({ id }) => id)).size).toBe([...filesOf(result.version)].length)
  })

  test.each([1, 3])('drops tombstones at the bottom only, %i merges side by side', async (parallelMerges) => {
    const start = await version()
    const above = await compact(start, parallelMerges, 1, [])
    const deletions = (files: readonly TableFile[]): number => files.reduce((count, file) => count + file.deletionCount, 0)
    expect(deletions(above.version.levels[1] as TableFile[])).toBeGreaterThan(0)
    const bottom = await compact(start, parallelMerges, 2, [])
    expect(deletions(bottom.version.levels[2] as TableFile[])).toBe(0)
  })

  test('a table of level 0 that stayed out keeps the tombstones that hide it', async () => {
    const [older] = await tablesOf(0, Number.POSITIVE_INFINITY)
    const [newer] = await tablesOf(1, Number.POSITIVE_INFINITY)
    const files = [older, newer] as TableFile[]
    const start = applyEdit(EMPTY_VERSION, { removed: [], added: files.map((file) => ({ level: 0, file })) })
    const plan: CompactionPlan = { reason: 'manual', inputs: [{ level: 0, files: [newer as TableFile] }], outputLevel: 0 }
    const outputs: TableFile[] = []
    await runCompaction({
      plan,
      version: start,
      rules: () => plainRules([]),
      targetFileSizeBytes: Number.POSITIVE_INFINITY,
      byteWork: new InlineByteWork({ tables, clock: systemClock }),
      tableWriter,
      publish: async (finished) => void outputs.push(...finished),
      signal: new AbortController().signal,
    })
    expect(outputs[0]?.deletionCount).toBe(newer?.deletionCount)
  })

  test('a failed upload of one part fails the whole with its own error, and leaves nothing registered', async () => {
    const start = await version()
    const before = new Set(tableWriter.unpublished)
    let uploads = 0
    const failure = new MoraineError('UNAVAILABLE', 'the store is away')
    const put = store.put.bind(store)
    store.put = (key, body, options) => (++uploads === 5 ? Promise.reject(failure) : put(key, body, options))
    await expect(compact(start, 3, 1, [])).rejects.toBe(failure)
    expect(tableWriter.unpublished).toEqual(before)
  })
})
