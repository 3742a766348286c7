// Invariant: an append is acknowledged only when its segment and all before it are in the store, in the order of their
// numbers; and never after another owner's object was met under one of them.
import { isMoraineError, SeededRandom, utf8Encode } from '@moraine/base'
import { conflictError, FaultyObjectStore, lostConnectionError, MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { describe, expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import { decodeStoreWalHeader, encodeStoreWalFence, readStoreWalRecords } from './store-wal-segment.ts'
import { type StoreWalSettings, StoreWalWriter } from './store-wal-writer.ts'

const DATABASE = 'd'.repeat(32)
const EPOCH = 3 as Epoch

function writerOn(store: ObjectStore, clock: SimulatedClock, settings: Partial<StoreWalSettings> = {}): StoreWalWriter {
  return new StoreWalWriter({
    flushIntervalMs: 0,
    flushSizeBytes: 1024,
    maxInFlight: 4,
    ...settings,
    store,
    databaseId: DATABASE,
    epoch: EPOCH,
    firstSeq: 1,
    clock,
    random: new SeededRandom(1),
  })
}

/** Appends writes `from` to `to`, one record each; notes in `log` what became of them. */
function append(writer: StoreWalWriter, from: number, to: number, log: string[], bytes = 10): void {
  for (let seq = from; seq <= to; seq++) {
    writer.append(seq, 1, [utf8Encode(`w${seq}`.padEnd(bytes, '.'))]).then(
      () => log.push(`${seq} ok`),
      (error: unknown) => log.push(`${seq} ${isMoraineError(error) ? error.code : String(error)}`),
    )
  }
}

async function numbersIn(store: ObjectStore): Promise<number[]> {
  const page = await store.list('wal/')
  return page.objects.map(({ key }) => Number(key.slice(-16, -4)))
}

async function writesOf(store: ObjectStore, n: number): Promise<number> {
  const bytes = (await store.get(walName(EPOCH, n)))?.bytes as Uint8Array
  const header = decodeStoreWalHeader(bytes, DATABASE, EPOCH, n)
  return header.kind === 'segment' ? readStoreWalRecords(header, bytes).length : 0
}

function gate(): { readonly open: Promise<void>; pass: () => void } {
  let pass!: () => void
  const open = new Promise<void>((resolve) => {
    pass = resolve
  })
  return { open, pass }
}

describe('the writer of the log in the store', () => {
  test('64 appends of one turn share one segment', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const writer = writerOn(store, clock, { flushSizeBytes: 64 * 1024 })
    const log: string[] = []
    append(writer, 1, 64, log)
    await clock.advance(0)
    expect(log).toHaveLength(64)
    expect(await numbersIn(store)).toEqual([1])
    expect(await writesOf(store, 1)).toBe(64)
    expect(writer.stats()).toMatchObject({ appendedSegments: 1, appendedWrites: 64, inFlight: 0, waitingBytes: 0 })
  })

  test('a full segment goes out alone; not more are on their way than allowed', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const stalled = gate()
    const store = new FaultyObjectStore(inner, () => ({ kind: 'delay', until: stalled.open }), { clock })
    const writer = writerOn(store, clock, { maxInFlight: 2 })
    const log: string[] = []
    append(writer, 1, 20, log, 400)
    await clock.advance(1000)
    expect(writer.stats().inFlight).toBe(2)
    expect(log).toEqual([])
    stalled.pass()
    await clock.advance(1000)
    expect(log).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1} ok`))
    const numbers = await numbersIn(inner)
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i + 1))
    expect(numbers.length).toBeGreaterThan(5)
  })

  test('PUTs that end out of order are acknowledged in order', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const gates = Array.from({ length: 5 }, gate)
    const plan = (_: string, key: string) => ({ kind: 'delay', until: gates[Number(key.slice(-16, -4))]?.open as Promise<void> }) as const
    const writer = writerOn(new FaultyObjectStore(inner, plan, { clock }), clock)
    const log: string[] = []
    for (let n = 1; n <= 4; n++) {
      append(writer, n, n, log)
      await clock.advance(0)
    }
    expect(writer.stats().inFlight).toBe(4)
    for (const n of [3, 4, 2]) {
      gates[n]?.pass()
      await clock.advance(0)
      expect(log).toEqual([])
      expect(writer.storedSeq).toBe(0)
    }
    expect(await numbersIn(inner)).toEqual([2, 3, 4])
    gates[1]?.pass()
    await clock.advance(0)
    expect(log).toEqual(['1 ok', '2 ok', '3 ok', '4 ok'])
    expect(writer.storedSeq).toBe(4)
  })

  test('between two PUTs the interval passes, unless the segment is full; after a pause nothing waits', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const writer = writerOn(store, clock, { flushIntervalMs: 50 })
    const log: string[] = []
    append(writer, 1, 1, log)
    await clock.advance(0)
    expect(log).toHaveLength(1)
    append(writer, 2, 3, log)
    await clock.advance(49)
    expect(log).toHaveLength(1)
    await clock.advance(1)
    expect(log).toHaveLength(3)
    append(writer, 4, 4, log, 2000)
    await clock.advance(0)
    expect(log).toHaveLength(4)
    await clock.advance(1000)
    append(writer, 5, 5, log)
    await clock.advance(0)
    expect(log).toHaveLength(5)
    expect(await numbersIn(store)).toEqual([1, 2, 3, 4])
  })

  test('idle, it asks for nothing and sets no timer', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const clock = new SimulatedClock()
    const writer = writerOn(store, clock, { flushIntervalMs: 5 })
    append(writer, 1, 3, [])
    await clock.advance(100)
    const { length } = store.calls
    expect(clock.pendingTimers).toBe(0)
    await clock.advance(3_600_000)
    expect(store.calls).toHaveLength(length)
  })

  test('pitfall 6: a segment whose reply was lost is ours, not a fence', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(inner, (operation, _key, n) => (operation === 'put' && n === 0 ? { kind: 'loseReply' } : undefined), { clock })
    const writer = writerOn(store, clock)
    const log: string[] = []
    append(writer, 1, 5, log)
    await clock.advance(60_000)
    expect(log).toEqual(['1 ok', '2 ok', '3 ok', '4 ok', '5 ok'])
    expect(await numbersIn(inner)).toEqual([1])
  })

  test('pitfall 7: a segment that lands after the client gave up is there once, and is acknowledged', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(
      inner,
      (operation, _key, n) => (operation === 'put' && n === 0 ? { kind: 'applyLater', delayMs: 200, error: lostConnectionError() } : undefined),
      { clock },
    )
    const writer = writerOn(store, clock)
    const log: string[] = []
    append(writer, 1, 2, log)
    await clock.advance(60_000)
    await store.lateCallsDone()
    expect(log).toEqual(['1 ok', '2 ok'])
    expect(await numbersIn(inner)).toEqual([1])
  })

  test('pitfall 8: a 409 is asked again', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(
      inner,
      (operation, _key, n) => (operation === 'put' && n < 3 ? { kind: n === 1 ? 'loseReply' : 'fail', error: conflictError() } : undefined),
      { clock },
    )
    const writer = writerOn(store, clock)
    const log: string[] = []
    append(writer, 1, 1, log)
    await clock.advance(60_000)
    expect(log).toEqual(['1 ok'])
  })

  test('pitfall 32: a fence ends everything, also what is behind it in the store', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const writer = writerOn(store, clock)
    const log: string[] = []
    append(writer, 1, 1, log)
    await clock.advance(0)
    const fence = encodeStoreWalFence({ databaseId: DATABASE, epoch: EPOCH, n: 2, token: 'f', byEpoch: 4 as Epoch })
    await store.put(walName(EPOCH, 2), fence)
    append(writer, 2, 9, log, 700)
    await clock.advance(60_000)
    expect(log).toEqual(['1 ok', ...Array.from({ length: 8 }, (_, i) => `${i + 2} FENCED`)])
    append(writer, 10, 10, log)
    await clock.advance(0)
    expect(log.at(-1)).toBe('10 FENCED')
    expect(writer.storedSeq).toBe(1)
  })

  test('pitfall 22: abandoned, everything that waits for a stalled store fails at once', async () => {
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(new MemoryObjectStore(), () => ({ kind: 'delay', until: new Promise(() => {}) }), { clock })
    const writer = writerOn(store, clock, { maxInFlight: 2 })
    const log: string[] = []
    append(writer, 1, 10, log, 700)
    await clock.advance(100)
    writer.abandon(conflictError())
    await clock.advance(0)
    expect(log).toEqual(Array.from({ length: 10 }, (_, i) => `${i + 1} UNAVAILABLE`))
    expect(clock.pendingTimers).toBe(0)
  })

  test('what is flushed before its PUT begins is acknowledged without one, and the numbers stay without gaps', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const stalled = gate()
    const store = new FaultyObjectStore(inner, () => ({ kind: 'delay', until: stalled.open }), { clock })
    const writer = writerOn(store, clock, { maxInFlight: 2 })
    const log: string[] = []
    append(writer, 1, 9, log, 2000)
    await clock.advance(10)
    expect(writer.stats().inFlight).toBe(2)
    // Numbers 1 and 2 are on their way with the first two writes; a flush has all but the last.
    expect(writer.position(8)).toEqual({ epoch: EPOCH, firstSegment: 3 })
    await writer.release(8)
    await clock.advance(0)
    expect(log).toEqual(['3 ok', '4 ok', '5 ok', '6 ok', '7 ok', '8 ok'])
    expect(writer.stats().waitingBytes).toBeLessThan(3000)
    stalled.pass()
    await clock.advance(10)
    expect(log.slice(6)).toEqual(['1 ok', '2 ok', '9 ok'])
    expect(await numbersIn(inner)).toEqual([1, 2, 3])
  })

  test('begins behind what is flushed, and deletes that in batches', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const writer = writerOn(store, clock)
    for (let n = 1; n <= 100; n++) {
      append(writer, 2 * n - 1, 2 * n, [])
      await clock.advance(0)
    }
    expect(writer.position(0)).toEqual({ epoch: EPOCH, firstSegment: 1 })
    // Write 21 is flushed, write 22 of the same segment is not.
    expect(writer.position(21)).toEqual({ epoch: EPOCH, firstSegment: 11 })
    expect(writer.position(22)).toEqual({ epoch: EPOCH, firstSegment: 12 })
    expect(writer.position(200)).toEqual({ epoch: EPOCH, firstSegment: 101 })
    await writer.release(22)
    expect(await numbersIn(store)).toHaveLength(100)
    await writer.release(141)
    expect((await numbersIn(store))[0]).toBe(71)
    await writer.release(200, { all: true })
    expect(await numbersIn(store)).toEqual([])
  })
})
