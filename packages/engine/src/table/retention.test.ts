// Invariant: of each key, every snapshot and the present keep exactly the newest version they can see; a tombstone goes only
// where nothing that it hides can be anywhere else.
import { SeededRandom } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { Retention } from './retention.ts'

interface Version {
  readonly seq: number
  readonly kind: EntryKind
}

const put = (seq: number): Version => ({ seq, kind: EntryKind.put })
const del = (seq: number): Version => ({ seq, kind: EntryKind.delete })

/** The versions of one key, newest first, that are kept. */
function kept(versions: readonly Version[], snapshots: readonly number[], bottommost: boolean): Version[] {
  const retention = new Retention(snapshots)
  retention.startKey()
  return versions.filter(({ seq, kind }) => retention.keeps(seq, kind, bottommost))
}

/** What a reader at `seq` sees of the key. */
function visible(versions: readonly Version[], seq: number): number | undefined {
  const newest = versions.find((version) => version.seq <= seq)
  return newest === undefined || newest.kind === EntryKind.delete ? undefined : newest.seq
}

describe('pitfall 20: compaction brings nothing back', () => {
  test('a tombstone stays while something older may lie deeper', () => {
    expect(kept([del(5), put(3)], [], false)).toEqual([del(5)])
  })

  test('at the bottom a tombstone goes with everything it hides', () => {
    expect(kept([del(5), put(3), put(1)], [], true)).toEqual([])
  })

  test('at the bottom a tombstone above a snapshot stays, or the snapshot`s version would be the present', () => {
    expect(kept([del(5), put(3), put(1)], [4], true)).toEqual([del(5), put(3)])
  })

  test('a tombstone that the oldest snapshot sees goes, the newer versions stay', () => {
    expect(kept([put(9), del(5), put(3)], [6, 8], true)).toEqual([put(9)])
  })

  test('random histories look the same to every snapshot and to the present', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = new SeededRandom(seed)
      const versions = Array.from({ length: 1 + random.below(12) }, (_, i) => (random.chance(0.4) ? del(i + 1) : put(i + 1))).toReversed()
      const snapshots = [...new Set(Array.from({ length: random.below(5) }, () => random.below(14)))].sort((a, b) => a - b)
      const bottommost = random.chance(0.5)
      const left = kept(versions, snapshots, bottommost)
      for (const seq of [...snapshots, Number.MAX_SAFE_INTEGER]) {
        expect(visible(left, seq), `seed ${seed}, at ${seq}`).toBe(visible(versions, seq))
      }
      // Under what is kept, an older version that lies deeper must stay hidden wherever it was hidden before.
      if (!bottommost) {
        const deeper = [...left, put(0)]
        for (const seq of [...snapshots, Number.MAX_SAFE_INTEGER]) {
          expect(visible(deeper, seq), `seed ${seed}, deeper, at ${seq}`).toBe(visible([...versions, put(0)], seq))
        }
      }
      expect(left.length, `seed ${seed}`).toBeLessThanOrEqual(snapshots.length + 1)
    }
  })
})
