// Invariant: whatever is registered and deleted, also while the database is being looked at, the earliest timer is the earliest of
// all that are there.
import { compareBytes, SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import { encodeFloat64 } from '../codec/number-codecs.ts'
import { statePrefix, timerKey } from '../state-key/state-key.ts'
import { GroupTimers, timeOf } from './group-timers.ts'

/** What the database has, and a look into it that takes a while. */
class Stored {
  readonly keys = new Map<string, Uint8Array>()

  sorted(): Uint8Array[] {
    return [...this.keys.values()].sort(compareBytes)
  }

  scan = async (from: Uint8Array, limit: number): Promise<Uint8Array[]> => {
    const found = this.sorted().filter((key) => compareBytes(key, from) >= 0).slice(0, limit)
    await Promise.resolve()
    await Promise.resolve()
    return found
  }
}

test.each([1, 2, 3, 4, 5])('against a sorted list, seed %d', async (seed) => {
  const random = new SeededRandom(seed)
  const stored = new Stored()
  const timers = new GroupTimers(statePrefix(1, 0))
  const key = (): Uint8Array => timerKey(1, 0, encodeFloat64(random.below(5_000)), Uint8Array.of(random.below(3)), new Uint8Array(0))
  const name = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const change = (): void => {
    const bytes = random.chance(0.3) && stored.keys.size > 0 ? random.pick([...stored.keys.values()]) : key()
    if (random.chance(0.75)) {
      stored.keys.set(name(bytes), bytes)
      timers.register(bytes)
    } else {
      stored.keys.delete(name(bytes))
      timers.delete(bytes)
    }
  }
  for (let step = 0; step < 4_000; step++) {
    change()
    if (step % 7 !== 0) continue
    if (!timers.isKnown) {
      const loading = timers.load(stored.scan)
      for (let i = random.below(4); i > 0; i--) change()
      await loading
    }
    if (!timers.isKnown) continue
    expect(timers.head).toEqual(stored.sorted()[0])
    expect(timers.heldCount).toBeLessThanOrEqual(516)
  }
  // Everything comes out in order.
  let last = Number.NEGATIVE_INFINITY
  while (stored.keys.size > 0) {
    await timers.load(stored.scan)
    const head = timers.head as Uint8Array
    expect(head).toEqual(stored.sorted()[0])
    expect(timeOf(head)).toBeGreaterThanOrEqual(last)
    last = timeOf(head)
    stored.keys.delete(name(head))
    timers.delete(head)
    if (random.chance(0.05)) change()
    else continue
    last = Number.NEGATIVE_INFINITY
  }
  await timers.load(stored.scan)
  expect(timers.head).toBeUndefined()
})
