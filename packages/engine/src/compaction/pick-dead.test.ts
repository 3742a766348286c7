// Invariant: only tables of which no reader can ever see anything leave unread; and manual steps pass over no table.
import { describe, expect, test } from 'vitest'
import { type RangeTombstone, RangeTombstones } from '../key/range-tombstones.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, type Version } from '../manifest/version.ts'
import type { CompactionSettings, PickContext } from './compaction-plan.ts'
import { pickDead, tombstonesWanted } from './pick-dead.ts'
import { pickManual } from './pick-manual.ts'
import { nextExpiryAtMs } from './pick-tables.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

function file(smallest: string, largest: string, seqs: readonly [number, number], more: Partial<TableFile> = {}): TableFile {
  const [smallestSeq, largestSeq] = seqs
  return { id: `${smallest}-${largest}@${largestSeq}`, sizeBytes: 100, entryCount: 10, deletionCount: 0, smallestKey: bytes(smallest), largestKey: bytes(largest), smallestSeq, largestSeq, createdAtMs: 0, ...more } as TableFile
}

function version(levels: Readonly<Record<number, readonly TableFile[]>>): Version {
  return { levels: Array.from({ length: LEVEL_COUNT }, (_, level) => levels[level] ?? []) }
}

const tombstone = (start: string, end: string, seq: number): RangeTombstone => ({ start: bytes(start), end: bytes(end), seq })

/** Which tables leave, by their names. */
function dead(levels: Readonly<Record<number, readonly TableFile[]>>, tombstones: readonly RangeTombstone[], more: Partial<PickContext> = {}): string[] {
  const known = RangeTombstones.of(tombstones)
  const context: PickContext = { oldestSnapshot: undefined, nowMs: 0, running: [], tombstonesOf: () => known, ...more }
  return pickDead(version(levels), context)?.inputs.flatMap(({ level, files }) => files.map(({ id }) => `L${level} ${id}`)) ?? []
}

const holder = file('b', 'p', [20, 30], { rangeTombstoneCount: 1, largestKeyExcluded: true })

describe('pickDead', () => {
  test.each([
    ['covered as a whole', file('c', 'f', [1, 10]), ['L2 c-f@10']],
    ['up to the excluded end', file('c', 'p', [1, 10], { largestKeyExcluded: true }), ['L2 c-p@10']],
    ['the end is a key of its own', file('c', 'p', [1, 10]), []],
    ['begins before', file('a', 'f', [1, 10]), []],
    ['newer than the range delete', file('c', 'f', [1, 25]), []],
    ['as new as it', file('c', 'f', [1, 22]), []],
    ['elsewhere', file('q', 'z', [1, 10]), []],
  ])('%s', (_, older, wanted) => {
    expect(dead({ 0: [holder], 2: [older] }, [tombstone('b', 'p', 22)])).toEqual(wanted)
  })

  test('pitfall 20: not while a snapshot is older than the range delete', () => {
    const levels = { 0: [holder], 2: [file('c', 'f', [1, 10])] }
    expect(dead(levels, [tombstone('b', 'p', 22)], { oldestSnapshot: 15 })).toEqual([])
    expect(dead(levels, [tombstone('b', 'p', 22)], { oldestSnapshot: 21 })).toEqual([])
    expect(dead(levels, [tombstone('b', 'p', 22)], { oldestSnapshot: 22 })).toEqual(['L2 c-f@10'])
    expect(dead(levels, [tombstone('b', 'p', 12), tombstone('b', 'p', 22)], { oldestSnapshot: 15 })).toEqual(['L2 c-f@10'])
  })

  test('by several range deletes without a gap, and not with one', () => {
    const levels = { 0: [holder], 2: [file('c', 'f', [1, 10])] }
    expect(dead(levels, [tombstone('b', 'd', 22), tombstone('d', 'g', 25)])).toEqual(['L2 c-f@10'])
    expect(dead(levels, [tombstone('b', 'd', 22), tombstone('e', 'g', 25)])).toEqual([])
  })

  test('an older table in any place, but no newer one', () => {
    const older = file('c', 'f', [1, 10])
    expect(dead({ 0: [holder, older], 1: [file('c', 'd', [1, 5]), file('e', 'f', [1, 5])] }, [tombstone('b', 'p', 22)])).toHaveLength(3)
    expect(dead({ 1: [older], 3: [holder] }, [tombstone('b', 'p', 22)])).toEqual([])
  })

  test('only the part of a table that counts can cover or be covered', () => {
    const half = { range: { gte: bytes('b'), lt: bytes('e') }, smallestKey: bytes('b'), largestKey: bytes('e') }
    expect(dead({ 0: [{ ...holder, ...half, largestKeyExcluded: undefined }], 2: [file('c', 'f', [1, 10])] }, [tombstone('b', 'p', 22)])).toEqual([])
    const part = file('c', 'z', [1, 10], { largestKey: bytes('f'), range: { gte: undefined, lt: bytes('f') } })
    expect(dead({ 0: [holder], 2: [part] }, [tombstone('b', 'f', 22)])).toEqual([`L2 ${part.id}`])
  })

  test('pitfall 37: expired tables go where they hide nothing older', () => {
    const expired = file('c', 'f', [11, 20], { expiresAtMs: 100 })
    const at = (ttlNowMs: number): Partial<PickContext> => ({ ttlNowMs, tombstonesOf: () => undefined })
    expect(dead({ 1: [expired] }, [], at(99))).toEqual([])
    expect(dead({ 1: [expired] }, [], at(100))).toEqual(['L1 c-f@20'])
    expect(dead({ 1: [expired], 2: [file('f', 'g', [1, 2])] }, [], at(100))).toEqual([])
    expect(dead({ 0: [expired, file('a', 'd', [1, 2])] }, [], at(100))).toEqual([])
    expect(dead({ 0: [file('a', 'd', [30, 32]), expired] }, [], at(100))).toEqual(['L0 c-f@20'])
  })

  test('range tombstones are asked for only where a whole older table may be covered', () => {
    const context: PickContext = { oldestSnapshot: undefined, nowMs: 0, running: [], tombstonesOf: () => undefined }
    const wanted = (older: TableFile): string[] => tombstonesWanted(version({ 0: [holder], 2: [older] }), context).map(({ id }) => id)
    expect(wanted(file('c', 'f', [1, 10]))).toEqual([holder.id])
    expect(wanted(file('a', 'f', [1, 10]))).toEqual([])
    expect(wanted(file('c', 'f', [1, 99]))).toEqual([])
  })
})

test('the next expiry: of tables that have not expired, or that a snapshot still sees', () => {
  const tables = version({ 1: [file('a', 'b', [1, 2], { expiresAtMs: 500 }), file('c', 'd', [1, 2], { expiresAtMs: 900 })] })
  const at = (nowMs: number, ttlNowMs = nowMs): PickContext => ({ oldestSnapshot: undefined, nowMs, ttlNowMs, running: [] })
  expect(nextExpiryAtMs(tables, at(100), 60)).toBe(500)
  expect(nextExpiryAtMs(tables, at(500), 60)).toBe(900)
  expect(nextExpiryAtMs(tables, at(550, 450), 60)).toBe(610)
  expect(nextExpiryAtMs(tables, at(900), 60)).toBeUndefined()
})

test('a manual compaction comes past a table that begins, and ends, where a range tombstone ends', () => {
  const settings = { targetFileSizeBytes: 1 } as CompactionSettings
  const first = file('a', 'm', [1, 5], { largestKeyExcluded: true })
  const second = file('m', 'm', [6, 6])
  const one = pickManual(version({ 1: [first, second] }), 1, {}, settings)
  expect(one?.plan.inputs[0]?.files).toEqual([first])
  // Whatever ends there does not come back, or the steps would have no end.
  const two = pickManual(version({ 1: [first, second] }), 1, one?.rest ?? {}, settings)
  expect(two?.plan.inputs[0]?.files).toEqual([second])
  expect(pickManual(version({ 1: [first, second] }), 1, two?.rest ?? {}, settings)).toBeUndefined()
})
