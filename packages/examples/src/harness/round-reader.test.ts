// Invariant: a round has one batch of every partition that counts, in their order, and none is lost or given twice; a partition
// that gives nothing for a while is not waited for, and comes back when it does.
import { SimulatedClock } from '@moraine/testing'
import { expect, test } from 'vitest'
import { RoundReader } from './round-reader.ts'
import type { Source } from './source.ts'

function sourceOf(...partitions: AsyncIterable<readonly number[]>[]): Source<number> {
  return { partitions: partitions.length, read: (partition) => partitions[partition] as AsyncIterable<readonly number[]> }
}

async function* given(...batches: number[][]): AsyncGenerator<readonly number[]> {
  yield* batches
}

/** Gives what it is told to, when it is told to. */
class Channel implements AsyncIterable<readonly number[]> {
  #wake: (() => void) | undefined
  readonly #batches: (readonly number[] | Error)[] = []

  push(batch: readonly number[] | Error): void {
    this.#batches.push(batch)
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly number[]> {
    for (;;) {
      for (let batch = this.#batches.shift(); batch !== undefined; batch = this.#batches.shift()) {
        if (batch instanceof Error) throw batch
        yield batch
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

const clock = (): SimulatedClock => new SimulatedClock()

test('partitions move together, and those that have ended are left out', async () => {
  const reader = new RoundReader(sourceOf(given([1], [2], [3]), given([10]), given()), [0, 0, 0], { clock: clock() })
  expect(await reader.next()).toEqual([
    { partition: 0, records: [1] },
    { partition: 1, records: [10] },
  ])
  expect(reader.active).toEqual([0, 1])
  expect(await reader.next()).toEqual([{ partition: 0, records: [2] }])
  expect(reader.active).toEqual([0])
  expect(await reader.next()).toEqual([{ partition: 0, records: [3] }])
  expect(await reader.next()).toBeUndefined()
  expect(reader.hasEnded).toBe(true)
})

test('without an idle time a slow partition is waited for', async () => {
  const slow = new Channel()
  const reader = new RoundReader(sourceOf(given([1]), slow), [0, 0], { clock: clock() })
  const round = reader.next()
  let given1 = false
  void round.then(() => (given1 = true))
  for (let i = 0; i < 20; i++) await Promise.resolve()
  expect(given1).toBe(false)
  slow.push([7])
  expect(await round).toEqual([
    { partition: 0, records: [1] },
    { partition: 1, records: [7] },
  ])
})

test('a partition falls idle, and counts again when it gives something', async () => {
  const time = clock()
  const slow = new Channel()
  const quick = new Channel()
  const reader = new RoundReader(sourceOf(quick, slow), [0, 0], { clock: time, idleAfterMs: 100 })
  quick.push([1])
  const first = reader.next()
  await time.advance(100)
  expect(await first).toEqual([{ partition: 0, records: [1] }])
  expect(reader.active).toEqual([0])
  quick.push([2])
  expect(await reader.next()).toEqual([{ partition: 0, records: [2] }])
  // Everybody is idle now, until the slow one speaks.
  const third = reader.next()
  await time.advance(100)
  expect(reader.active).toEqual([])
  slow.push([3])
  expect(await third).toEqual([{ partition: 1, records: [3] }])
  expect(reader.active).toEqual([1])
})

test('a source that fails ends the reading, also while the partition is idle', async () => {
  const time = clock()
  const slow = new Channel()
  const quick = new Channel()
  const reader = new RoundReader(sourceOf(quick, slow), [0, 0], { clock: time, idleAfterMs: 10 })
  quick.push([1])
  const first = reader.next()
  await time.advance(10)
  await first
  slow.push(new Error('the broker is gone'))
  quick.push([2])
  await expect(
    (async () => {
      for (let i = 0; i < 3; i++) {
        quick.push([3])
        await reader.next()
      }
    })(),
  ).rejects.toThrow('the broker is gone')
})

test('the signal wakes a reader that waits', async () => {
  const controller = new AbortController()
  const reader = new RoundReader(sourceOf(new Channel()), [0], { clock: clock() })
  const round = reader.next(controller.signal)
  controller.abort()
  expect(await round).toBeUndefined()
  expect(reader.hasEnded).toBe(false)
  reader.close()
})

test('empty batches are no round', async () => {
  const reader = new RoundReader(sourceOf(given([], [], [5])), [0], { clock: clock() })
  expect(await reader.next()).toEqual([{ partition: 0, records: [5] }])
})

test('another number of partitions than the checkpoint has', () => {
  expect(() => new RoundReader(sourceOf(given()), [0, 0], { clock: clock() })).toThrow(/the number cannot change/)
})
