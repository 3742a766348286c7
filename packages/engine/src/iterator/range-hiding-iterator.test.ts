// Invariant: entries less those that range tombstones delete, in both directions and from any place, whether tombstones are in
// memory or have to be waited for; and what newer places delete is leapt over, not walked through.
import { compareBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { ALL_KEYS } from '../key/key-range.ts'
import { RangeTombstones } from '../key/range-tombstones.ts'
import { EntryFields } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'
import { RangeHidingIterator, type TombstonePart, type TombstoneSource } from './range-hiding-iterator.ts'

interface Plain {
  readonly key: Uint8Array
  readonly seq: number
}

const key = (n: number): Uint8Array => Uint8Array.of(n)

/** Over a list in internal order; some movements have to wait. Counts them. */
class ListIterator extends EntryFields implements EntryIterator {
  readonly #list: readonly Plain[]
  readonly #waits: () => boolean
  #at = -1
  movements = 0

  constructor(list: readonly Plain[], waits: () => boolean) {
    super()
    this.#list = list
    this.#waits = waits
  }

  seek(wanted: Uint8Array, seq: number): MaybePromise {
    const at = this.#list.findIndex((entry) => compareBytes(entry.key, wanted) > 0 || (compareBytes(entry.key, wanted) === 0 && entry.seq <= seq))
    return this.#to(at < 0 ? this.#list.length : at)
  }

  seekToFirst(): MaybePromise {
    return this.#to(0)
  }

  seekBefore(wanted: Uint8Array): MaybePromise {
    return this.#to(this.#list.findLastIndex((entry) => compareBytes(entry.key, wanted) < 0))
  }

  seekToLast(): MaybePromise {
    return this.#to(this.#list.length - 1)
  }

  next(): MaybePromise {
    return this.#to(this.#at + 1)
  }

  prev(): MaybePromise {
    return this.#to(this.#at - 1)
  }

  close(): void {
    this.valid = false
  }

  #to(at: number): MaybePromise {
    this.movements++
    this.valid = false
    const arrive = (): void => {
      this.#at = at
      const entry = this.#list[at]
      this.valid = entry !== undefined
      if (entry === undefined) return
      this.keyBytes = entry.key
      this.keyEnd = entry.key.length
      this.seq = entry.seq
    }
    if (this.#waits()) return Promise.resolve().then(arrive)
    arrive()
    return undefined
  }
}

function source(tombstones: RangeTombstones, waits: () => boolean): TombstoneSource {
  const part: TombstonePart = { tombstones, range: ALL_KEYS }
  return { partOf: () => (waits() ? Promise.resolve(part) : part) }
}

describe('RangeHidingIterator', () => {
  test.each([0, 0.3, 1])('answers as a list does, %d of all steps wait', async (share) => {
    const random = new SeededRandom(11)
    const waits = (): boolean => random.chance(share)
    for (let round = 0; round < 150; round++) {
      const drawTombstones = (from: number, to: number): RangeTombstones =>
        RangeTombstones.of(Array.from({ length: random.below(4) }, () => ({ start: key(random.below(40)), end: key(random.below(40)), seq: from + random.below(to - from) })))
      const own = drawTombstones(1, 100)
      const newer = [drawTombstones(100, 200), drawTombstones(100, 200)]
      const seq = random.pick([50, 120, 150, 1000])
      const list = Array.from({ length: random.below(60) }, () => ({ key: key(random.below(40)), seq: 1 + random.below(99) }))
        .sort((a, b) => compareBytes(a.key, b.key) || b.seq - a.seq)
        .filter((entry, i, all) => i === 0 || entry.seq !== all[i - 1]?.seq || compareBytes(entry.key, (all[i - 1] as Plain).key) !== 0)
      const left = list.filter(
        (entry) => newer.every((place) => place.coveringSeq(entry.key, 0, 1, seq) === 0) && own.coveringSeq(entry.key, 0, 1, seq) <= entry.seq,
      )
      const it = new RangeHidingIterator(new ListIterator(list, waits), source(own, waits), newer.map((place) => source(place, waits)), seq)
      const wanted = new ListIterator(left, () => false)
      for (let move = 0; move < 60; move++) {
        const target = key(random.below(41))
        const at = random.below(120)
        const moves: ((on: EntryIterator) => MaybePromise)[] = [
          (on) => on.seek(target, at),
          (on) => on.seekBefore(target),
          (on) => on.seekToFirst(),
          (on) => on.seekToLast(),
        ]
        if (it.valid) for (let i = 0; i < 6; i++) moves.push((on) => on.next(), (on) => on.prev())
        const chosen = random.pick(moves)
        await chosen(it)
        await chosen(wanted)
        expect(it.valid).toBe(wanted.valid)
        if (it.valid) expect([it.keyBytes[it.keyStart], it.seq]).toEqual([wanted.keyBytes[0], wanted.seq])
      }
    }
  })

  test('a newer place deletes ten thousand keys in a step, forwards and backwards', async () => {
    const list = Array.from({ length: 10_000 }, (_, i) => ({ key: Uint8Array.of(i >> 8, i & 255), seq: 1 }))
    const tombstones = RangeTombstones.of([{ start: Uint8Array.of(0, 5), end: Uint8Array.of(39, 0), seq: 9 }])
    const inner = new ListIterator(list, () => false)
    const it = new RangeHidingIterator(inner, undefined, [source(tombstones, () => false)], 100)
    let seen = 0
    for (await it.seekToFirst(); it.valid; await it.next()) seen++
    for (await it.seekToLast(); it.valid; await it.prev()) seen++
    expect(seen).toBe(2 * (10_000 - (39 * 256 - 5)))
    expect(inner.movements).toBeLessThan(seen + 10)
  })
})
