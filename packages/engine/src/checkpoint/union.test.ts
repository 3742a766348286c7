// Invariant: a union holds every part of every source once, in the order that reads rely on, refuses sources that may share
// a key and nothing else, and asks for a pin in every database whose tables it names.
import { utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { KeyRange } from '../key/key-range.ts'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import type { FileId } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { OriginPin } from '../manifest/origin.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { LEVEL_COUNT, versionDefect } from '../manifest/version.ts'
import { type Projection, project } from './projection.ts'
import { unite } from './union.ts'

let made = 0

function table(smallest: string, largest: string, seqs: [number, number] = [1, 9], more: Partial<TableFile> = {}): TableFile {
  return {
    id: `000000000001-${String(made++).padStart(24, '0')}` as FileId,
    sizeBytes: 100,
    tailOffset: 50,
    tailCrc32c: 0,
    entryCount: 2,
    deletionCount: 0,
    smallestKey: utf8Encode(smallest),
    largestKey: utf8Encode(largest),
    smallestSeq: seqs[0],
    largestSeq: seqs[1],
    rawBytes: 10,
    createdAtMs: 0,
    ...more,
  }
}

function manifest(databaseId: string, levels: Record<number, TableFile[]>, more: Partial<Manifest> = {}): Manifest {
  return {
    id: 7 as ManifestId,
    epoch: 1 as Epoch,
    token: '',
    databaseId,
    committedAtMs: 0,
    flushedSeq: 100,
    lastSeq: 100,
    walId: undefined,
    released: true,
    owner: '',
    version: { levels: Array.from({ length: LEVEL_COUNT }, (_, level) => levels[level] ?? []) },
    checkpoints: [],
    walEpochs: [],
    origins: [],
    jobs: [],
    keyspaces: [],
    ttlNowMs: 0,
    base: undefined,
    ...more,
  }
}

function range(gte?: string, lt?: string): KeyRange {
  return { gte: gte === undefined ? undefined : utf8Encode(gte), lt: lt === undefined ? undefined : utf8Encode(lt) }
}

function part(source: Manifest, keys?: KeyRange): Projection {
  const place = { kind: 'sibling', prefix: source.databaseId } as const
  return project({ name: source.databaseId, manifest: source, place, translate: (other) => other, range: keys })
}

describe('the keys of sources', () => {
  const cases: [string, () => Projection[], boolean][] = [
    ['apart', () => [part(manifest('x', { 1: [table('a', 'c')] })), part(manifest('y', { 1: [table('d', 'f')] }))], true],
    ['meeting in one key', () => [part(manifest('x', { 1: [table('a', 'c')] })), part(manifest('y', { 1: [table('c', 'f')] }))], false],
    ['in one another', () => [part(manifest('x', { 1: [table('a', 'z')] })), part(manifest('y', { 0: [table('c', 'f')] }))], false],
    ['interleaved, table by table', () => [part(manifest('x', { 1: [table('a', 'b'), table('e', 'f')] })), part(manifest('y', { 1: [table('c', 'd')] }))], false],
    ['cut at one key', () => [part(manifest('x', { 1: [table('a', 'z')] }), range(undefined, 'm')), part(manifest('y', { 1: [table('a', 'z')] }), range('m'))], true],
    ['cut one byte too late', () => [part(manifest('x', { 1: [table('a', 'z')] }), range(undefined, 'm\0')), part(manifest('y', { 1: [table('a', 'z')] }), range('m'))], false],
    ['cut and not cut', () => [part(manifest('x', { 1: [table('a', 'z')] }), range(undefined, 'm')), part(manifest('y', { 1: [table('m', 'z')] }))], true],
    ['none in one of them', () => [part(manifest('x', {})), part(manifest('y', { 1: [table('a', 'z')] }))], true],
    ['two unbounded ranges', () => [part(manifest('x', {}), range('a')), part(manifest('y', {}), range('b'))], false],
  ]
  for (const [name, projections, fine] of cases) {
    test(`${name}: ${fine ? 'united' : 'refused'}, in either order`, () => {
      const [first, second] = projections() as [Projection, Projection]
      for (const both of [[first, second], [second, first]]) {
        if (fine) expect(versionDefect(unite(both).version)).toBeUndefined()
        else expect(() => unite(both)).toThrow(/x .* y .* overlap|y .* x .* overlap/)
      }
    })
  }
})

test('parts of one table that meet become one, those with a gap between them do not', () => {
  const whole = table('a', 'z')
  const source = manifest('x', { 1: [whole] })
  const parts = [range('m', 't'), range(undefined, 'm'), range('u')].map((keys) => part(source, keys))
  const [left, right] = unite(parts).version.levels[1] as [TableFile, TableFile]
  expect([left.range, right.range]).toEqual([{ gte: undefined, lt: utf8Encode('t') }, { gte: utf8Encode('u'), lt: undefined }])
  const [joined, ...others] = unite([...parts, part(source, range('t', 'u'))]).version.levels[1] as TableFile[]
  expect(others).toEqual([])
  expect(joined).toEqual({ ...whole, origin: joined?.origin, range: undefined })
})

test('histories of different lengths: the order in level 0 stays that of each source, writes go on above both', () => {
  const x = manifest('x', { 0: [table('a', 'c', [20, 30]), table('a', 'b', [1, 10])] }, { lastSeq: 40 })
  const y = manifest('y', { 0: [table('m', 'p', [5, 25])] }, { lastSeq: 900 })
  const { version, lastSeq } = unite([part(x), part(y)])
  expect(lastSeq).toBe(900)
  expect(versionDefect(version)).toBeUndefined()
  expect((version.levels[0] as TableFile[]).map(({ largestSeq }) => largestSeq)).toEqual([30, 25, 10])
})

test('pitfall 35: what a source borrows is pinned where it comes from, and only what is taken', () => {
  const origin = { databaseId: 'deep', place: { kind: 'sibling', prefix: 'deep' } } as const
  const other = { databaseId: 'gone', place: { kind: 'sibling', prefix: 'gone' } } as const
  const pin = (of: OriginPin['origin']): OriginPin => ({ origin: of, manifestId: 3 as ManifestId, pin: `pin/of ${of.databaseId}` })
  const source = manifest('x', { 1: [table('a', 'c'), table('m', 'p', [1, 9], { origin })] }, { origins: [pin(origin), pin(other)] })
  const needs = (keys?: KeyRange): string[] => unite([part(source, keys)]).needs.map(({ origin: { databaseId }, manifestId }) => `${databaseId}@${manifestId}`)
  expect(needs()).toEqual(['x@7', 'deep@3'])
  expect(needs(range('m'))).toEqual(['deep@3'])
  expect(needs(range(undefined, 'd'))).toEqual(['x@7'])
  expect(needs(range('z'))).toEqual([])
  const lost = manifest('x', { 1: [table('m', 'p', [1, 9], { origin })] })
  expect(() => part(lost)).toThrow(/records no pin/)
})
