// Invariant: once a log was ended, its owner acknowledges nothing more, and what it had acknowledged is replayed, all of
// it and in order, or refused by the name of the object that is missing or damaged. Ending it again gives the same end.
import { isMoraineError, SeededRandom, utf8Decode, utf8Encode } from '@moraine/base'
import { FaultyObjectStore, lostConnectionError, MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { STORE_WAL_HEADER_BYTES } from './store-wal-segment.ts'
import { replayStoreWal } from './store-wal-replay.ts'
import { sweepStoreWal } from './store-wal-sweep.ts'
import { endLogs, type EndedLog } from './store-wal-takeover.ts'
import { StoreWalWriter } from './store-wal-writer.ts'

const DATABASE = 'd'.repeat(32)
const A = 3 as Epoch
const B = 4 as Epoch
const C = 5 as Epoch

let store: MemoryObjectStore
let clock: SimulatedClock
beforeEach(() => {
  store = new MemoryObjectStore()
  clock = new SimulatedClock()
})

function writerOf(epoch: Epoch, firstSeq: number, on: ObjectStore = store): StoreWalWriter {
  return new StoreWalWriter({
    flushIntervalMs: 0,
    flushSizeBytes: 1024,
    maxInFlight: 4,
    store: on,
    databaseId: DATABASE,
    epoch,
    firstSeq,
    clock,
    random: new SeededRandom(epoch),
  })
}

/** Segments of one write each. */
async function write(writer: StoreWalWriter, from: number, to: number): Promise<void> {
  for (let seq = from; seq <= to; seq++) await clock.drive(writer.append(seq, 1, [utf8Encode(`w${seq}`)]))
}

function end(byEpoch: Epoch, ...logs: { epoch: Epoch; firstSegment: number }[]): Promise<EndedLog[]> {
  const random = new SeededRandom(100 + byEpoch)
  return clock.drive(endLogs({ store, databaseId: DATABASE, byEpoch, clock, random }, logs))
}

async function replay(logs: readonly EndedLog[], flushedSeq = 0, lastUsedSeq = flushedSeq): Promise<string[]> {
  const found: string[] = []
  for await (const record of replayStoreWal({ store, databaseId: DATABASE, logs, flushedSeq, lastUsedSeq })) {
    found.push(`${record.firstSeq}:${utf8Decode(record.payload)}`)
  }
  return found
}

/** The code and message of an error; fails when there is none. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (isMoraineError(error)) return `${error.code} ${error.message}`
    throw error
  }
  throw new Error('it was not refused')
}

const whole = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}:w${from + i}`)

describe('taking a log in the store over', () => {
  test('pitfall 32: the owner that wakes up behind the fence acknowledges nothing', async () => {
    const a = writerOf(A, 1)
    await write(a, 1, 3)
    const logs = await end(B, { epoch: A, firstSegment: 1 })
    expect(logs).toEqual([{ epoch: A, firstSegment: 1, end: 4 }])
    expect(await refusal(write(a, 4, 4))).toMatch(/^FENCED .*wal\/000000000003-000000000004.wal/)
    expect(await replay(logs)).toEqual(whole(1, 3))
  })

  test('pitfall 32: a PUT that was on its way when the log was ended comes too late', async () => {
    let pass!: () => void
    const stalled = new Promise<void>((resolve) => {
      pass = resolve
    })
    const late = new FaultyObjectStore(
      store,
      (operation, key) => (operation === 'put' && key === walName(A, 2) ? { kind: 'delay', until: stalled } : undefined),
      { clock },
    )
    const a = writerOf(A, 1, late)
    await write(a, 1, 1)
    const second = refusal(a.append(2, 1, [utf8Encode('w2')]))
    await clock.advance(0)
    // The third is in the store and still not acknowledged: nothing may be before what came before it.
    const third = refusal(a.append(3, 1, [utf8Encode('w3')]))
    await clock.advance(0)
    expect(a.storedSeq).toBe(1)
    const logs = await end(B, { epoch: A, firstSegment: 1 })
    pass()
    await clock.advance(0)
    expect(await second).toMatch(/^FENCED/)
    expect(await third).toMatch(/^FENCED/)
    expect(await replay(logs)).toEqual(whole(1, 1))
  })

  test('a second taker finds the fences of the first, and fences the first', async () => {
    await write(writerOf(A, 1), 1, 3)
    const first = await end(B, { epoch: A, firstSegment: 1 })
    const b = writerOf(B, 4)
    await write(b, 4, 5)
    const logs = await end(C, { epoch: A, firstSegment: 1 }, { epoch: B, firstSegment: 1 })
    expect(logs).toEqual([...first, { epoch: B, firstSegment: 1, end: 3 }])
    expect(await refusal(write(b, 6, 6))).toMatch(/^FENCED/)
    expect(await replay(logs)).toEqual(whole(1, 5))
    expect(await end(C, ...logs)).toEqual(logs)
  })

  test('the owner goes on while its log is ended: whatever it acknowledges is replayed', async () => {
    for (let lead = 0; lead < 8; lead++) {
      store = new MemoryObjectStore()
      const a = writerOf(A, 1)
      const acknowledged: number[] = []
      const writing = (async () => {
        for (let seq = 1; ; seq++) {
          await a.append(seq, 1, [utf8Encode(`w${seq}`)])
          acknowledged.push(seq)
        }
      })()
      while (acknowledged.length < lead) await clock.advance(0)
      const logs = await endLogs({ store, databaseId: DATABASE, byEpoch: B, clock, random: new SeededRandom(lead) }, [
        { epoch: A, firstSegment: 1 },
      ])
      expect(await refusal(writing)).toMatch(/^FENCED/)
      const found = await replay(logs)
      expect(found.length).toBeGreaterThanOrEqual(acknowledged.length)
      expect(found).toEqual(whole(1, found.length))
    }
  })

  test('pitfall 6: a fence whose reply was lost is recognised', async () => {
    await write(writerOf(A, 1), 1, 2)
    const lossy = new FaultyObjectStore(
      store,
      (operation, _key, n) => (operation === 'put' && n === 0 ? { kind: 'loseReply', error: lostConnectionError() } : undefined),
      { clock },
    )
    const takeover = { store: lossy, databaseId: DATABASE, byEpoch: B, clock, random: new SeededRandom(1) }
    expect(await clock.drive(endLogs(takeover, [{ epoch: A, firstSegment: 1 }]))).toMatchObject([{ end: 3 }])
  })

  test('pitfall 11: a removed segment is named, wherever it stood, and no fence is put in its place', async () => {
    for (let removed = 1; removed < 8; removed++) {
      store = new MemoryObjectStore()
      await write(writerOf(A, 1), 1, 8)
      await store.delete(walName(A, removed))
      const message = await refusal(end(B, { epoch: A, firstSegment: 1 }))
      expect(message).toMatch(new RegExp(`^CORRUPTION .*${walName(A, removed)}`))
      expect(await store.get(walName(A, removed))).toBeUndefined()
    }
  })

  test('pitfall 11: a segment that vanishes after the log was ended is named', async () => {
    for (let removed = 1; removed <= 4; removed++) {
      store = new MemoryObjectStore()
      await write(writerOf(A, 1), 1, 4)
      const logs = await end(B, { epoch: A, firstSegment: 1 })
      await store.delete(walName(A, removed))
      expect(await refusal(replay(logs))).toMatch(new RegExp(`^CORRUPTION .*${walName(A, removed)}`))
      expect(await refusal(end(C, { epoch: A, firstSegment: 1 }))).toMatch(new RegExp(`^CORRUPTION .*${walName(A, removed)}`))
    }
  })

  test('pitfall 11: a segment cut off at any byte is named, in the middle and at the end', async () => {
    for (const n of [2, 3]) {
      store = new MemoryObjectStore()
      await write(writerOf(A, 1), 1, 3)
      const logs = await end(B, { epoch: A, firstSegment: 1 })
      const bytes = (await store.get(walName(A, n)))?.bytes as Uint8Array
      for (let length = 0; length < bytes.length; length += 7) {
        await store.put(walName(A, n), bytes.subarray(0, length))
        expect(await refusal(replay(logs))).toMatch(new RegExp(`^CORRUPTION .*${walName(A, n)}`))
      }
    }
  })

  test('a number that a crash left out is the end, not a hole: nothing behind it was acknowledged', async () => {
    const dead = new FaultyObjectStore(
      store,
      (operation, key) => (operation === 'put' && key === walName(A, 3) ? { kind: 'delay', until: new Promise(() => {}) } : undefined),
      { clock },
    )
    const a = writerOf(A, 1, dead)
    await write(a, 1, 2)
    for (let seq = 3; seq <= 6; seq++) {
      a.append(seq, 1, [utf8Encode(`w${seq}`)]).catch(() => {})
      await clock.advance(0)
    }
    expect(await store.get(walName(A, 6))).toBeDefined()
    const logs = await end(B, { epoch: A, firstSegment: 1 })
    expect(logs).toMatchObject([{ end: 3 }])
    expect(await replay(logs)).toEqual(whole(1, 2))
    expect(await end(C, { epoch: A, firstSegment: 1 })).toEqual(logs)
    a.abandon(new Error('over'))
  })

  test('replays above what is flushed, from the middle of a segment on', async () => {
    const a = writerOf(A, 1)
    await clock.drive(a.append(1, 3, [utf8Encode('w1-3')]))
    await clock.drive(a.append(4, 3, [utf8Encode('w4-6')]))
    await clock.drive(a.append(7, 1, [utf8Encode('w7')]))
    const logs = await end(B, { epoch: A, firstSegment: 2 })
    expect(await replay(logs, 5)).toEqual(['4:w4-6', '7:w7'])
    expect(await replay(logs, 6)).toEqual(['7:w7'])
    // The first segment of the log has to reach down to what is flushed.
    expect(await refusal(replay(logs, 2))).toMatch(/^CORRUPTION .*writes 3 to 3 are missing/)
  })

  test('an owner begins above every number that was ever used, and not further up', async () => {
    await write(writerOf(A, 11), 11, 12)
    const logs = await end(B, { epoch: A, firstSegment: 1 })
    expect(await replay(logs, 5, 10)).toEqual(whole(11, 12))
    expect(await refusal(replay(logs, 5, 9))).toMatch(/^CORRUPTION .*writes 6 to 10 are missing/)
  })

  test('many segments are fetched side by side, and come in order', async () => {
    await write(writerOf(A, 1), 1, 60)
    const logs = await end(B, { epoch: A, firstSegment: 1 })
    let most = 0
    let now = 0
    const counting = new (class extends FaultyObjectStore {
      protected override async around<T>(call: never, run: () => Promise<T>): Promise<T> {
        most = Math.max(most, ++now)
        try {
          await clock.yieldNow()
          return await super.around(call, run)
        } finally {
          now--
        }
      }
    })(store, () => undefined, { clock })
    const found: number[] = []
    for await (const { firstSeq } of replayStoreWal({ store: counting, databaseId: DATABASE, logs, flushedSeq: 0, lastUsedSeq: 0 })) found.push(firstSeq)
    expect(found).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
    expect(most).toBeGreaterThan(8)
    expect(most).toBeLessThanOrEqual(16)
  })
})

describe('sweeping', () => {
  test('takes flushed logs of earlier owners; fences, listed logs and newer owners stay', async () => {
    await write(writerOf(A, 1), 1, 3)
    await end(B, { epoch: A, firstSegment: 1 })
    await write(writerOf(B, 4), 4, 6)
    await end(C, { epoch: B, firstSegment: 1 })
    await write(writerOf(C, 7), 7, 7)
    await write(writerOf((C + 1) as Epoch, 8), 8, 8)
    await store.put('wal/something-else', new Uint8Array(9))
    const manifest = { id: 9 as ManifestId, epoch: C, walEpochs: [{ epoch: B, firstSegment: 2 }] } as unknown as Manifest
    expect(await sweepStoreWal(store, manifest)).toEqual({ deleted: 3, fences: 1 })
    expect((await store.list('wal/')).objects.map(({ key, sizeBytes }) => [key, sizeBytes === STORE_WAL_HEADER_BYTES])).toEqual([
      [walName(A, 4), true],
      [walName(B, 1), false],
      [walName(B, 2), false],
      [walName(B, 3), false],
      [walName(B, 4), true],
      [walName(C, 1), false],
      [walName((C + 1) as Epoch, 1), false],
      ['wal/something-else', false],
    ])
  })

  test('pitfall 32: fences outlive the collection: a sleeper of a log long gone is still fenced', async () => {
    const a = writerOf(A, 1)
    await write(a, 1, 3)
    await end(B, { epoch: A, firstSegment: 1 })
    await sweepStoreWal(store, { epoch: B, walEpochs: [] } as unknown as Manifest)
    expect(await refusal(write(a, 4, 4))).toMatch(/^FENCED/)
  })
})
