// Invariant: an edited version is the sorted whole of what stayed and what came; whatever an edit breaks is found, whether
// the version before it was known to be sound or not; a run is searched as if every table were looked at.
import { compareBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { type KeyRange, rangeTouches } from '../key/key-range.ts'
import type { Epoch } from '../layout/numbers.ts'
import { newFileId } from '../layout/object-names.ts'
import type { TableFile } from './table-file.ts'
import { applyEdit, EMPTY_VERSION, filesOf, touchingInRun, type Version, versionDefect } from './version.ts'

const random = new SeededRandom(1)
const key = (n: number): Uint8Array => new Uint8Array([n >> 8, n & 255])

function table(from: number, to: number, seq = 1): TableFile {
  return {
    id: newFileId(1 as Epoch, random),
    sizeBytes: 100,
    tailOffset: 50,
    tailCrc32c: 0,
    entryCount: 1,
    deletionCount: 0,
    smallestKey: key(from),
    largestKey: key(to),
    smallestSeq: seq,
    largestSeq: seq,
    rawBytes: 10,
    createdAtMs: 0,
  }
}

/** Tables at multiples of ten in level 2; checked, so that edits of it check only themselves. */
function soundRun(count: number): Version {
  const added = Array.from({ length: count }, (_, i) => ({ level: 2, file: table(i * 10, i * 10 + 5) }))
  const version = applyEdit(EMPTY_VERSION, { removed: [], added })
  expect(versionDefect(version)).toBeUndefined()
  return version
}

const copyOf = (version: Version): Version => ({ levels: [...version.levels] })

describe('applyEdit', () => {
  test('random edits of a run keep it sorted, whole and sound', () => {
    let version = soundRun(50)
    for (let round = 0; round < 200; round++) {
      const run = version.levels[2] as readonly TableFile[]
      const at = random.below(run.length - 3)
      const removed = run.slice(at, at + 1 + random.below(3))
      const added = removed.map(({ smallestKey, largestKey }) => ({ ...table(0, 0), smallestKey, largestKey }))
      const next = applyEdit(version, {
        removed: removed.map((file) => ({ level: 2, file })),
        added: added.toReversed().map((file) => ({ level: 2, file })),
      })
      const expected = [...run.filter((file) => !removed.includes(file)), ...added]
      expected.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
      expect(next.levels[2]).toEqual(expected)
      expect(versionDefect(next)).toBeUndefined()
      expect(versionDefect(copyOf(next))).toBeUndefined()
      version = next
    }
  })

  test('what an edit breaks is named', () => {
    const version = soundRun(5)
    const [first] = version.levels[2] as [TableFile]
    const add = (level: number, file: TableFile): string | undefined =>
      versionDefect(applyEdit(version, { removed: [], added: [{ level, file }] }))
    expect(add(2, table(3, 7))).toContain('overlap in keys')
    expect(add(2, table(8, 12))).toContain('overlap in keys')
    expect(add(2, table(7, 41))).toContain('overlap in keys')
    expect(add(3, first)).toContain('twice')
    expect(add(3, table(9, 1))).toContain('ends before it starts')
    expect(add(3, { ...table(1, 2), smallestSeq: 9 })).toContain('upside down')
    expect(add(3, { ...table(1, 2), tailOffset: 100 })).toContain('tail')
    expect(add(3, table(0, 500))).toBeUndefined()
    expect(add(2, table(6, 9))).toBeUndefined()
  })

  test('level 0 tables that share keys and sequence numbers are named', () => {
    const zero = applyEdit(soundRun(1), { removed: [], added: [{ level: 0, file: table(1, 9, 5) }] })
    expect(versionDefect(zero)).toBeUndefined()
    const both = applyEdit(zero, { removed: [], added: [{ level: 0, file: { ...table(4, 6, 7), smallestSeq: 5 } }] })
    expect(versionDefect(both)).toContain('in sequence')
  })

  test('a table moves to another level', () => {
    const version = soundRun(3)
    const [first] = version.levels[2] as [TableFile]
    const moved = applyEdit(version, { removed: [{ level: 2, file: first }], added: [{ level: 3, file: first }] })
    expect(versionDefect(moved)).toBeUndefined()
    expect(moved.levels.map((files) => files.length)).toEqual([0, 0, 2, 1, 0, 0, 0])
    expect([...filesOf(moved)]).toHaveLength(3)
  })
})

test('touchingInRun finds what looking at every table finds', () => {
  const run = soundRun(20).levels[2] as readonly TableFile[]
  for (let i = 0; i < 500; i++) {
    const range: KeyRange = {
      gte: random.chance(0.2) ? undefined : key(random.below(220)),
      lt: random.chance(0.2) ? undefined : key(random.below(220)),
    }
    const wanted = run.filter((file) => rangeTouches(range, file.smallestKey, file.largestKey))
    const found = touchingInRun(run, range)
    // An empty range touches nothing, though tables may span the place where it would be.
    if (range.gte === undefined || range.lt === undefined || compareBytes(range.gte, range.lt) < 0) expect(found).toEqual(wanted)
    else expect(found.length).toBeLessThanOrEqual(1)
  }
})
