// Invariant: tables hold keys of one keyspace, do not overlap, and carry all that range tombstones say, cut at their bounds.
import { systemClock } from '@moraine/base'
import { EntryKind, parseSstTail, type SstWriterSettings } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { keyspacePrefix, keyspaceEnd, storedKey } from '../key/keyspace.ts'
import { type RangeTombstone, RangeTombstones } from '../key/range-tombstones.ts'
import { precedes, type TableFile } from '../manifest/table-file.ts'
import { MergeOperators } from '../merge/merge-operators.ts'
import type { BuiltTable } from './built-table.ts'
import { TableAssembler } from './table-assembler.ts'

const bytes = (text: string, keyspace = ''): Uint8Array => storedKey(keyspacePrefix(keyspace), new Uint8Array(Buffer.from(text)))
const WRITER: SstWriterSettings = { blockSizeBytes: 1024, restartInterval: 16, compression: 'none', filterBitsPerKey: 10, createdAtMs: 0, databaseId: 'db', engineVersion: '0.0.0', userProperties: {} }

interface Given {
  readonly keys: readonly Uint8Array[]
  readonly tombstones: readonly RangeTombstone[]
  readonly targetSizeBytes?: number
  readonly snapshots?: readonly number[]
  readonly bottommost?: boolean
}

function assemble({ keys, tombstones, targetSizeBytes = Number.POSITIVE_INFINITY, snapshots = [], bottommost = false }: Given): BuiltTable[] {
  const assembler = new TableAssembler({
    writerOf: () => WRITER,
    snapshots,
    ttlNowMs: systemClock.nowMs(),
    operators: new MergeOperators(),
    targetSizeBytes,
    tombstones: RangeTombstones.of(tombstones),
    enveloped: false,
    isBottommost: () => bottommost,
    isRangeBottommost: () => bottommost,
    separator: undefined,
    pause: () => undefined,
  })
  const value = new Uint8Array(100)
  for (const key of keys) {
    assembler.startKey(key, 0, key.length)
    assembler.keep(50, EntryKind.put, value, 0, value.length, true)
  }
  assembler.end()
  return assembler.finished
}

/** The range tombstones of a table, spelled. */
function rangesOf({ parts, summary }: BuiltTable): string[] {
  const tail = Buffer.concat(parts).subarray(summary.tailOffset)
  const { rangeTombstones } = parseSstTail(new Uint8Array(tail), { name: 'a table', sizeBytes: summary.sizeBytes, tailOffset: summary.tailOffset, tailCrc32c: summary.tailCrc32c })
  return rangeTombstones.map(({ start, end, seq }) => `${spelled(start)}..${spelled(end)}@${seq}`)
}

const spelled = (key: Uint8Array): string => Buffer.from(key).toString('latin1').replaceAll('\u00ff\u0001', '$').replaceAll('\0', '/')

const range = (start: string, end: string, seq: number): RangeTombstone => ({ start: bytes(start), end: bytes(end), seq })
const letters = [...'abcdefghij'].map((letter) => bytes(letter))

describe('TableAssembler', () => {
  test('a range tombstone goes on in the next table where one ends', () => {
    const tables = assemble({ keys: letters, tombstones: [range('b', 'h5', 60)], targetSizeBytes: 1400 })
    expect(tables.length).toBeGreaterThan(2)
    const ranges = tables.flatMap(rangesOf)
    expect(ranges[0]).toMatch(/^b\.\./)
    expect(ranges.at(-1)).toMatch(/\.\.h5@60$/)
    // Without a gap.
    for (const [i, one] of ranges.slice(1).entries()) expect(one.split('..')[0]).toBe(ranges[i]?.split('..')[1]?.split('@')[0])
    const files = tables.map(({ summary }) => summary as unknown as TableFile)
    for (const [i, file] of files.slice(1).entries()) expect(precedes(files[i] as TableFile, file)).toBe(true)
    expect(tables.at(-1)?.nextKey).toBeUndefined()
    for (const [i, { nextKey }] of tables.slice(0, -1).entries()) expect(nextKey).toEqual(tables[i + 1]?.summary.smallestKey)
  })

  test('keyspaces have tables of their own, those of range tombstones only too', () => {
    const whole = (name: string, seq: number): RangeTombstone => ({ start: keyspacePrefix(name), end: keyspaceEnd(keyspacePrefix(name)), seq })
    const tables = assemble({ keys: [bytes('a'), bytes('k', 'm'), bytes('z', 'm')], tombstones: [whole('', 60), whole('c', 61), whole('m', 62), whole('x', 63)] })
    expect(tables.map(rangesOf)).toEqual([['..$@60'], ['$c/..$c\u0001@61'], ['$m/..$m\u0001@62'], ['$x/..$x\u0001@63']])
    expect(tables.map(({ summary }) => summary.entryCount)).toEqual([2, 1, 3, 1])
    expect(tables.every(({ summary }) => summary.largestKeyExcluded)).toBe(true)
  })

  test('of one stripe the newest stays, and none at the bottom that no snapshot is older than', () => {
    const tombstones = [range('a', 'e', 60), range('c', 'g', 70)]
    const kept = (given: Partial<Given>): string[] => assemble({ keys: letters, tombstones, ...given }).flatMap(rangesOf)
    expect(kept({})).toEqual(['a..c@60', 'c..e@70', 'e..g@70'])
    expect(kept({ snapshots: [65] })).toEqual(['a..c@60', 'c..e@70', 'c..e@60', 'e..g@70'])
    expect(kept({ bottommost: true })).toEqual([])
    expect(kept({ bottommost: true, snapshots: [65] })).toEqual(['c..e@70', 'e..g@70'])
  })

  test('nothing left is no table', () => {
    expect(assemble({ keys: [], tombstones: [range('a', 'c', 5)], bottommost: true })).toEqual([])
  })
})
