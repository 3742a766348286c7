// Invariant: of each key, every snapshot and the present see the same after a merge as before, whatever lies deeper; a
// tombstone goes only where nothing that it hides can be anywhere else; what has expired counts as a tombstone.
import { ByteWriter, SeededRandom } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { ENVELOPED, expiryOf, KIND_MASK, NEVER, payloadStart, writeEnvelope } from '../batch/envelope.ts'
import { RangeTombstones } from '../key/range-tombstones.ts'
import type { MergeOperator } from '../merge/merge-operator.ts'
import { MergeOperators } from '../merge/merge-operators.ts'
import { append } from '../merge/operators/append.ts'
import { VersionReducer } from './version-reducer.ts'

interface Version {
  readonly seq: number
  readonly kind: number
  readonly text: string
  readonly expiresAtMs: number
}

interface Case {
  readonly snapshots?: readonly number[]
  readonly bottommost?: boolean
  readonly ttlNowMs?: number
  readonly operator?: MergeOperator | undefined
  readonly tombstones?: readonly number[]
}

const KEY = Uint8Array.of(107)

const put = (seq: number, text = 'v', expiresAtMs = NEVER): Version => ({ seq, kind: EntryKind.put, text, expiresAtMs })
const del = (seq: number): Version => ({ seq, kind: EntryKind.delete, text: '', expiresAtMs: NEVER })
const add = (seq: number, text: string, expiresAtMs = NEVER): Version => ({ seq, kind: EntryKind.merge, text, expiresAtMs })

/** The versions of one key, newest first, that are kept. */
function kept(versions: readonly Version[], given: Case): Version[] {
  const { snapshots = [], bottommost = false, ttlNowMs = 0, operator = append, tombstones = [] } = given
  const operators = new MergeOperators()
  if (operator !== undefined) operators.set('', operator)
  const left: Version[] = []
  const covering = tombstones.length === 0 ? undefined : new RangeTombstones()
  for (const seq of tombstones) covering?.add(KEY, Uint8Array.of(108), seq)
  const reducer = new VersionReducer(
    { snapshots, ttlNowMs, operators, tombstones: covering, isBottommost: () => bottommost },
    {
      keep(seq, kind, value, start, end) {
        const expiresAtMs = kind < ENVELOPED ? NEVER : expiryOf(value, start, end)
        const from = kind < ENVELOPED ? start : payloadStart(value, start, end)
        left.push({ seq, kind: kind & KIND_MASK, text: Buffer.from(value.slice(from, end)).toString(), expiresAtMs })
      },
    },
  )
  reducer.startKey(KEY, 0, 1)
  for (const { seq, kind, text, expiresAtMs } of versions) {
    const writer = new ByteWriter()
    if (expiresAtMs !== NEVER) writeEnvelope(writer, expiresAtMs, false)
    const bytes = writer.bytes(Buffer.from(text)).finish()
    reducer.version(seq, expiresAtMs === NEVER ? kind : kind | ENVELOPED, bytes, 0, bytes.length)
  }
  reducer.endKey()
  return left
}

/** What a reader at `seq` and `timeMs` sees of the key. */
function visible(versions: readonly Version[], seq: number, timeMs: number, tombstones: readonly number[] = []): string | undefined {
  const deletedSeq = Math.max(0, ...tombstones.filter((tombstone) => tombstone <= seq))
  const operands: string[] = []
  for (const version of versions) {
    if (version.seq > seq) continue
    if (version.seq < deletedSeq) break
    const expired = version.expiresAtMs <= timeMs
    if (version.kind === EntryKind.merge) {
      if (!expired) operands.unshift(version.text)
      continue
    }
    if (version.kind === EntryKind.put && !expired) operands.unshift(version.text)
    else if (operands.length === 0) return undefined
    return operands.join('')
  }
  return operands.length === 0 ? undefined : operands.join('')
}

describe('pitfall 20: compaction brings nothing back', () => {
  test('a tombstone stays while something older may lie deeper', () => {
    expect(kept([del(5), put(3)], {})).toEqual([del(5)])
  })

  test('at the bottom a tombstone goes with everything it hides', () => {
    expect(kept([del(5), put(3), put(1)], { bottommost: true })).toEqual([])
  })

  test('at the bottom a tombstone above a snapshot stays, or the snapshot`s version would be the present', () => {
    expect(kept([del(5), put(3), put(1)], { snapshots: [4], bottommost: true })).toEqual([del(5), put(3)])
  })

  test('a tombstone that the oldest snapshot sees goes, the newer versions stay', () => {
    expect(kept([put(9), del(5), put(3)], { snapshots: [6, 8], bottommost: true })).toEqual([put(9)])
  })
})

describe('pitfall 37: an expired version', () => {
  test('becomes a tombstone where something older may lie deeper', () => {
    expect(kept([put(5, 'new', 100), put(3, 'old')], { ttlNowMs: 100 })).toEqual([del(5)])
  })

  test('goes at the bottom, with what it hides', () => {
    expect(kept([put(5, 'new', 100), put(3, 'old')], { ttlNowMs: 100, bottommost: true })).toEqual([])
  })

  test('stays until its time has come', () => {
    expect(kept([put(5, 'new', 101), put(3, 'old')], { ttlNowMs: 100 })).toEqual([put(5, 'new', 101)])
  })
})

describe('merge operands', () => {
  test('are applied to the value they meet', () => {
    expect(kept([add(9, 'c'), add(8, 'b'), put(7, 'a'), put(6, 'x')], {})).toEqual([put(9, 'abc')])
  })

  test('are applied to nothing behind a tombstone, and are a value from then on', () => {
    expect(kept([add(9, 'c'), del(8), put(7, 'a')], {})).toEqual([put(9, 'c')])
  })

  test('pitfall 20: are combined, not valued, while their base may lie deeper', () => {
    expect(kept([add(9, 'c'), add(8, 'b')], {})).toEqual([add(9, 'bc')])
    expect(kept([add(9, 'c'), add(8, 'b')], { bottommost: true })).toEqual([put(9, 'bc')])
  })

  test('of different stripes stay apart', () => {
    expect(kept([add(9, 'd'), add(8, 'c'), add(6, 'b'), put(5, 'a')], { snapshots: [7] })).toEqual([add(9, 'cd'), put(6, 'ab')])
  })

  test('stay as they are without an operator, and when it fails', () => {
    const versions = [add(9, 'c'), add(8, 'b'), put(7, 'a')]
    const failing: MergeOperator = {
      name: 'failing',
      version: 1,
      merge: () => {
        throw new Error('no')
      },
    }
    expect(kept(versions, { operator: failing })).toEqual(versions)
    const { combine: _, ...whole } = append
    expect(kept([add(9, 'c'), add(8, 'b')], { operator: whole })).toEqual([add(9, 'c'), add(8, 'b')])
  })

  test('that expire at different times stay apart, and go one by one', () => {
    const versions = [add(9, 'c', 300), add(8, 'b', 200), add(7, 'a', 200), put(6, 'x')]
    expect(kept(versions, { ttlNowMs: 100 })).toEqual([add(9, 'c', 300), add(8, 'ab', 200), put(6, 'x')])
    expect(kept(versions, { ttlNowMs: 200 })).toEqual([add(9, 'c', 300), put(6, 'x')])
    expect(kept(versions, { ttlNowMs: 300 })).toEqual([put(6, 'x')])
  })

  test('pitfall 20: an expired base still hides what is older', () => {
    expect(kept([add(9, 'b'), put(8, 'a', 100), put(7, 'old')], { ttlNowMs: 100 })).toEqual([put(9, 'b')])
  })
})

describe('what range tombstones cover', () => {
  test('goes, in the stripe of the tombstone', () => {
    expect(kept([put(9), put(6), put(3)], { tombstones: [7] })).toEqual([put(9)])
    expect(kept([put(6), put(3)], { tombstones: [7], snapshots: [4] })).toEqual([put(3)])
  })

  test('is no base for the operands above', () => {
    expect(kept([add(9, 'b'), put(6, 'a')], { tombstones: [7] })).toEqual([put(9, 'b')])
  })
})

test('pitfall 20: random histories look the same to every snapshot and to the present, at every later time', () => {
  const { combine: _, ...uncombined } = append
  for (let seed = 1; seed <= 3000; seed++) {
    const random = new SeededRandom(seed)
    const expiry = (): number => (random.chance(0.4) ? random.below(6) * 10 : NEVER)
    const draw = (seq: number): Version => {
      const dice = random.below(10)
      if (dice < 3) return del(seq)
      return dice < 6 ? put(seq, `p${seq}`, expiry()) : add(seq, `m${seq}`, expiry())
    }
    const count = 1 + random.below(12)
    const versions = Array.from({ length: count }, (_unused, i) => draw((i + 1) * 2)).toReversed()
    const snapshots = [...new Set(Array.from({ length: random.below(5) }, () => random.below(28)))].sort((a, b) => a - b)
    const tombstones = Array.from({ length: random.below(3) }, () => random.below(13) * 2 + 1)
    const ttlNowMs = random.below(5) * 10
    const bottommost = random.chance(0.5)
    const operator = random.chance(0.8) ? append : uncombined
    const left = kept(versions, { snapshots, bottommost, ttlNowMs, tombstones, operator })
    const deeper = bottommost ? [] : [put(1, 'deep')]
    for (const seq of [...snapshots, 1000]) {
      for (const timeMs of [ttlNowMs, ttlNowMs + 10, ttlNowMs + 25, 1000]) {
        const before = visible([...versions, ...deeper], seq, timeMs, tombstones)
        expect(visible([...left, ...deeper], seq, timeMs, tombstones), `seed ${seed}, at ${seq}, ${timeMs} ms`).toBe(before)
      }
    }
    expect(left.every(({ seq }, i) => i === 0 || seq < (left[i - 1] as Version).seq), `seed ${seed}: order`).toBe(true)
  }
})
