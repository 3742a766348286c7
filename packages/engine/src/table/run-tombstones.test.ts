// Invariant: whoever asks a run for its range tombstones at a key is told a part of the key space that holds the key.
import { describe, expect, test } from 'vitest'
import type { TombstonePart } from '../iterator/range-hiding-iterator.ts'
import { RangeTombstones } from '../key/range-tombstones.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { runTombstones } from './run-tombstones.ts'
import type { TableStore } from './table-store.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const tables = { handle: () => ({ metadata: {} }), rangeTombstones: () => RangeTombstones.of([{ start: bytes('b'), end: bytes('c'), seq: 5 }]) } as unknown as TableStore

function file(smallest: string, largest: string, more: Partial<TableFile> = {}): TableFile {
  return { id: `${smallest}-${largest}`, smallestKey: bytes(smallest), largestKey: bytes(largest), rangeTombstoneCount: 1, ...more } as TableFile
}

describe('runTombstones', () => {
  const run = [file('a', 'f'), file('g', 'k', { largestKeyExcluded: true }), file('k', 'p', { range: { gte: bytes('k'), lt: bytes('p') } }), file('q', 'q')]
  const source = runTombstones(run, tables)

  // Two tables that push each other out of memory were loaded for ever in turn: fleet without logs, seed 3, step 229.
  test.each(['a', 'b', 'f', 'g', 'j', 'k', 'o', 'q'])('the part that answers for %s holds it', (key) => {
    const part = source?.partOf(bytes(key), 0, 1) as TombstonePart
    const { gte, lt } = part.range
    expect(Buffer.compare(gte as Uint8Array, bytes(key))).toBeLessThanOrEqual(0)
    expect(Buffer.compare(bytes(key), lt as Uint8Array)).toBeLessThan(0)
  })

  test.each(['A', 'fa', 'p', 'r'])('no table answers for %s', (key) => {
    expect(source?.partOf(bytes(key), 0, bytes(key).length)).toBeUndefined()
  })

  test('a run without range tombstones says so', () => {
    expect(runTombstones([file('a', 'f', { rangeTombstoneCount: undefined })], tables)).toBeUndefined()
  })
})
