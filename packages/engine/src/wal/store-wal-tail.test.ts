// Invariant: a tail gives every write above the manifest's tables once and in order, and only what a new owner would
// replay; whatever is flushed and deleted meanwhile, it goes on once it has the newer manifest.
import { SeededRandom, utf8Encode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import { StoreWalTail } from './store-wal-tail.ts'
import { endLogs } from './store-wal-takeover.ts'
import { StoreWalWriter } from './store-wal-writer.ts'

const DATABASE = 'd'.repeat(32)
const A = 3 as Epoch
const B = 4 as Epoch

let store: MemoryObjectStore
let clock: SimulatedClock
let asked: CutObjectStore
let tail: StoreWalTail
beforeEach(() => {
  store = new MemoryObjectStore()
  clock = new SimulatedClock()
  asked = new CutObjectStore(store)
  tail = new StoreWalTail({ store: asked, databaseId: DATABASE })
})

function writerOf(epoch: Epoch, firstSeq: number): StoreWalWriter {
  const settings = { flushIntervalMs: 0, flushSizeBytes: 1024, maxInFlight: 4 }
  return new StoreWalWriter({ ...settings, store, databaseId: DATABASE, epoch, firstSeq, clock, random: new SeededRandom(epoch) })
}

async function write(writer: StoreWalWriter, from: number, to: number): Promise<void> {
  for (let seq = from; seq <= to; seq++) await clock.drive(writer.append(seq, 1, [utf8Encode(`w${seq}`)]))
}

async function poll(maxBytes = 1_000_000): Promise<number[]> {
  return (await tail.poll(maxBytes)).map(({ firstSeq }) => firstSeq)
}

describe('following the log in the store', () => {
  test('gives what is there, then what comes; a poll without news is one GET', async () => {
    const a = writerOf(A, 1)
    await write(a, 1, 3)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    expect(await poll()).toEqual([1, 2, 3])
    const before = asked.calls.length
    expect(await poll()).toEqual([])
    expect(asked.calls.slice(before)).toEqual([`get ${walName(A, 4)}`])
    await write(a, 4, 5)
    expect(await poll()).toEqual([4, 5])
    expect(tail.lastSeq).toBe(5)
  })

  test('without a log it asks for nothing', async () => {
    tail.follow({ walEpochs: [], flushedSeq: 7, lastSeq: 7 })
    expect(await poll()).toEqual([])
    expect(asked.calls).toEqual([])
    expect(tail.lastSeq).toBe(7)
  })

  test('gives a long log in pieces', async () => {
    await write(writerOf(A, 1), 1, 6)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    expect(await poll(1)).toEqual([1])
    expect(await poll(300)).toEqual([2, 3])
    expect(await poll()).toEqual([4, 5, 6])
  })

  test('starts in the middle of a segment, behind what is flushed', async () => {
    const a = writerOf(A, 1)
    await clock.drive(a.append(1, 4, [utf8Encode('w1-4')]))
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 2, lastSeq: 2 })
    expect(await poll()).toEqual([1])
    expect(tail.lastSeq).toBe(4)
  })

  test('segments deleted by a flush: nothing comes until the newer manifest, then all that is new, once', async () => {
    const a = writerOf(A, 1)
    await write(a, 1, 2)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    expect(await poll()).toEqual([1, 2])
    await write(a, 3, 6)
    await a.release(4, { all: true })
    expect(await poll()).toEqual([])
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 5 }], flushedSeq: 4, lastSeq: 4 })
    expect(await poll()).toEqual([5, 6])
    // A manifest that has flushed less than was given already changes nothing.
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 5 }], flushedSeq: 4, lastSeq: 4 })
    expect(await poll()).toEqual([])
  })

  test('stops at a fence and goes on in the log of the new owner; what stands behind the fence never comes', async () => {
    const a = writerOf(A, 1)
    await write(a, 1, 2)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    await endLogs({ store, databaseId: DATABASE, byEpoch: B, clock, random: new SeededRandom(1) }, [{ epoch: A, firstSegment: 1 }])
    await store.put(walName(A, 4), (await store.get(walName(A, 2)))?.bytes as Uint8Array)
    expect(await poll()).toEqual([1, 2])
    await write(writerOf(B, 3), 3, 4)
    expect(await poll()).toEqual([])
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }, { epoch: B, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    expect(await poll()).toEqual([3, 4])
    tail.follow({ walEpochs: [{ epoch: B, firstSegment: 2 }], flushedSeq: 3, lastSeq: 3 })
    expect(await poll()).toEqual([])
  })

  test('writes that were flushed and left out are waited for, not stepped over', async () => {
    const a = writerOf(A, 1)
    const flushed = a.append(1, 1, [utf8Encode('w1')])
    await a.release(1)
    await flushed
    await write(a, 2, 3)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    expect(await poll()).toEqual([])
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 1, lastSeq: 1 })
    expect(await poll()).toEqual([2, 3])
  })

  test('an owner begins above every number that was ever used', async () => {
    await write(writerOf(A, 51), 51, 52)
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 20, lastSeq: 50 })
    expect(await poll()).toEqual([51, 52])
  })

  test('a damaged segment is named', async () => {
    await write(writerOf(A, 1), 1, 2)
    await store.put(walName(A, 2), new Uint8Array(500))
    tail.follow({ walEpochs: [{ epoch: A, firstSegment: 1 }], flushedSeq: 0, lastSeq: 0 })
    await expect(poll()).rejects.toMatchObject({ code: 'CORRUPTION', detail: { object: walName(A, 2) } })
  })
})
