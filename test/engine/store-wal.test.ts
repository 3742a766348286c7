// Invariant: with its log in the store, a database loses no acknowledged write to the loss of its machine; nobody but its
// owner acknowledges; and whatever kind of log an owner keeps, it finds what the owner before left unflushed.
import { MoraineError } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type StoreOperation } from '@moraine/object-store'
import { CutObjectStore, MortalObjectStore, SimulatedClock } from '@moraine/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, numbered, outcomeOf, putAll, QUIET, textOf } from './subject.ts'

const LOGGED: OpenOptions = { ...QUIET, wal: 'object-store' }
const GONE = new MoraineError('ABORTED', 'the machine is gone')

/** Opens, writes without a flush, and loses the machine. */
async function writeAndDie(store: MemoryObjectStore, options: OpenOptions, entries: readonly [string, string][]): Promise<void> {
  const mortal = new MortalObjectStore(store)
  const db = await open({ store: mortal }, options)
  await putAll(db, entries)
  mortal.kill()
}

async function segmentsIn(store: MemoryObjectStore): Promise<{ segments: number; fences: number }> {
  const { objects } = await store.list('wal/')
  const fences = objects.filter(({ sizeBytes }) => sizeBytes === 192).length
  return { segments: objects.length - fences, fences }
}

function stallOn(store: MemoryObjectStore, clock: SimulatedClock): { store: FaultyObjectStore; stall: () => void; resume: () => void } {
  let resume!: () => void
  const until = new Promise<void>((resolve) => {
    resume = resolve
  })
  const faulty = new FaultyObjectStore(store, () => undefined, { clock })
  const stall = (): void => {
    faulty.plan = (operation: StoreOperation, key: string) =>
      operation === 'put' && key.startsWith('wal/') ? { kind: 'delay', until } : undefined
  }
  return { store: faulty, stall, resume }
}

describe('a log in the store', () => {
  test('64 concurrent puts share segments', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, LOGGED)
    const before = store.calls.length
    await putAll(db, numbered(0, 64))
    const puts = store.calls.slice(before)
    expect(puts.every((call) => call.startsWith('put wal/'))).toBe(true)
    expect(puts.length).toBeLessThanOrEqual(2)
    expect(db.stats().wal).toMatchObject({ kind: 'object-store', appendedWrites: 64, segments: puts.length })
    await db.close()
  })

  test('acknowledged writes are there on another machine, from several owners one after another', async () => {
    const store = new MemoryObjectStore()
    await writeAndDie(store, LOGGED, numbered(0, 10))
    await writeAndDie(store, LOGGED, numbered(5, 20, 40))
    const batched = new MortalObjectStore(store)
    const third = await open({ store: batched }, LOGGED)
    await third.write(new WriteBatch().put('batch', '1').delete('key-000000'))
    batched.kill()
    const db = await open({ store }, LOGGED)
    const expected = Object.fromEntries([...numbered(0, 10), ...numbered(5, 20, 40), ['batch', '1']])
    delete expected['key-000000']
    expect(await contents(db)).toEqual(expected)
    expect(db.stats().lastSequence).toBe(27)
    await db.close()
  })

  test('flushed segments are deleted, at the latest by a clean close; the fences of the dead stay', async () => {
    const store = new MemoryObjectStore()
    await writeAndDie(store, LOGGED, numbered(0, 10))
    expect(await segmentsIn(store)).toEqual({ segments: 1, fences: 0 })
    const db = await open({ store }, LOGGED)
    for (let round = 0; round < 70; round++) await db.put('key', String(round))
    await db.flush()
    await db.put('key', 'last')
    await db.close()
    expect(await segmentsIn(store)).toEqual({ segments: 0, fences: 1 })
    // A closed log needs no fence: the next owner does not even look for it.
    const again = new CutObjectStore(store)
    const next = await open({ store: again }, LOGGED)
    expect(again.calls.filter((call) => call.includes('wal/'))).toEqual([])
    expect(await textOf(next.get('key'))).toBe('last')
    await next.close()
    expect(await segmentsIn(store)).toEqual({ segments: 0, fences: 1 })
  })

  test('owners that die without a write do not make the next opening longer', async () => {
    const store = new MemoryObjectStore()
    await writeAndDie(store, LOGGED, numbered(0, 3))
    const requests: number[] = []
    for (let i = 0; i < 6; i++) {
      const mortal = new MortalObjectStore(store)
      const db = await open({ store: mortal }, LOGGED)
      requests.push(db.stats().store.requests)
      mortal.kill()
    }
    expect(new Set(requests.slice(2)).size).toBe(1)
    expect(requests.at(-1)).toBeLessThan(16)
    const db = await open({ store }, LOGGED)
    expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 3)))
    await db.close()
  })

  test('idle, it asks the store for nothing', async () => {
    const clock = new SimulatedClock()
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, { ...LOGGED, clock, fenceCheckIntervalMs: 5_000 })
    await clock.drive(db.put('a', '1'))
    await clock.advance(60_000)
    const { length } = store.calls
    await clock.advance(3_600_000)
    expect(store.calls).toHaveLength(length)
    await db.close()
  })

  test('a log longer than memory is flushed while it is replayed', async () => {
    const store = new MemoryObjectStore()
    const roomy = { ...LOGGED, memtableSizeBytes: 16 * 1024 * 1024 }
    const entries = numbered(0, 600, 4_000)
    const mortal = new MortalObjectStore(store)
    const roomyDb = await open({ store: mortal }, roomy)
    for (let i = 0; i < 600; i += 20) await putAll(roomyDb, entries.slice(i, i + 20))
    mortal.kill()
    const db = await open({ store }, { ...LOGGED, maxSealedMemtables: 1 })
    // 2.4 MB were replayed into memtables of 256 KiB, of which two may be full.
    expect(db.stats().memtables.sizeBytes).toBeLessThan(1_000_000)
    expect(db.stats().flushedSequence).toBeGreaterThan(300)
    expect(await contents(db)).toEqual(Object.fromEntries(entries))
    await db.close()
  })
})

describe('a log slower than the flushes', () => {
  test('holds no more than the memtables, and loses nothing', async () => {
    const memory = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const { store, stall, resume } = stallOn(memory, clock)
    const mortal = new MortalObjectStore(store)
    const db = await open({ store: mortal }, { ...LOGGED, wal: { kind: 'object-store', flushSizeBytes: 4096, maxInFlight: 1 } })
    stall()
    const entries = numbered(0, 400, 4_000)
    for (const [key, value] of entries) await db.put(key, value, { durability: 'memory' })
    while (db.stats().flushedSequence < 320) await clock.yieldNow()
    // 1.6 MB were written, of which 80 writes at most are not flushed.
    const { wal } = db.stats()
    expect(wal.kind === 'object-store' ? wal.waitingBytes : Infinity).toBeLessThan(500_000)
    resume()
    await db.put('last', '1')
    mortal.kill()
    const next = await open({ store: memory }, LOGGED)
    expect(await contents(next)).toEqual(Object.fromEntries([...entries, ['last', '1']]))
    await next.close()
  })
})

describe('durability of one write', () => {
  test('with the log in the store, log and store are the same: no flush', async () => {
    const db = await open({ store: new MemoryObjectStore() }, LOGGED)
    await db.put('a', '1', { durability: 'store' })
    await db.put('b', '2', { durability: 'log' })
    expect(db.stats()).toMatchObject({ flushedSequence: 0, durableSequence: 2 })
    await db.close()
  })

  test('memory does not wait for the log, and enters it in order all the same', async () => {
    const memory = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const { store, stall, resume } = stallOn(memory, clock)
    const db = await open({ store }, LOGGED)
    stall()
    await db.put('a', '1', { durability: 'memory' })
    let logged = false
    const log = db.put('b', '2').then(() => {
      logged = true
    })
    await clock.advance(10)
    expect(logged).toBe(false)
    expect(await textOf(db.get('a'))).toBe('1')
    resume()
    await log
    expect(db.stats().durableSequence).toBe(2)
    await db.close()
  })

  test('without it, writes that ask for the store share a flush', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    await db.put('before', '0')
    await Promise.all(numbered(0, 32).map(([key, value]) => db.put(key, value, { durability: 'store' })))
    expect(db.stats().flushedSequence).toBe(33)
    expect(store.calls.filter((call) => call.startsWith('put sst/')).length).toBeLessThanOrEqual(2)
    await db.close()
  })
})

describe('reads of durable data', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-durable-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  test('with the log in the store they see what its last acknowledged segment holds', async () => {
    const clock = new SimulatedClock()
    const { store, stall, resume } = stallOn(new MemoryObjectStore(), clock)
    const db = await open({ store }, LOGGED)
    await db.put('key', 'old')
    await db.put('gone', 'still there')
    stall()
    const writes = [db.put('key', 'new'), db.delete('gone'), db.put('other', 'x')]
    await clock.advance(10)
    expect(await contents(db)).toEqual({ key: 'new', other: 'x' })
    expect(await contents(db, { durable: true })).toEqual({ key: 'old', gone: 'still there' })
    expect(await contents(db, { durable: true, reverse: true })).toEqual({ gone: 'still there', key: 'old' })
    expect(await textOf(db.get('key', { durable: true }))).toBe('old')
    expect(db.getResident('other', { durable: true })).toEqual({ absent: true })
    expect((await db.getMany(['key', 'other'], { durable: true })).map((v) => v && Buffer.from(v).toString())).toEqual(['old', undefined])
    using snapshot = db.snapshot()
    expect(await textOf(db.get('key', { durable: true, snapshot }))).toBe('old')
    resume()
    await Promise.all(writes)
    expect(await contents(db, { durable: true })).toEqual({ key: 'new', other: 'x' })
    await db.close()
  })

  for (const [name, wal] of [
    ['no log', () => ({ wal: 'none' }) as const],
    ['a local log', () => localLog(folder)],
  ] as const) {
    test(`with ${name} they see what is flushed, through flushes and compactions`, async () => {
      const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, ...wal() })
      const flushed: Record<string, string> = {}
      for (let round = 0; round < 6; round++) {
        for (const [key] of numbered(0, 5)) await db.put(key, `${round}`)
        expect(await contents(db, { durable: true })).toEqual(flushed)
        const open1 = contents(db, { durable: true })
        const flush = db.flush()
        expect(await open1).toEqual(flushed)
        await flush
        for (const [key] of numbered(0, 5)) flushed[key] = `${round}`
        expect(await contents(db, { durable: true })).toEqual(flushed)
        if (round === 3) await db.compact()
      }
      await db.close()
    })
  }

  test('a snapshot taken before is not read past its own moment', async () => {
    const db = await open({ store: new MemoryObjectStore() }, LOGGED)
    await db.put('key', 'first')
    using snapshot = db.snapshot()
    await db.put('key', 'second')
    expect(await textOf(db.get('key', { durable: true, snapshot }))).toBe('first')
    await db.close()
  })

  test('an option that is not a boolean is INVALID', async () => {
    const db = await open({ store: new MemoryObjectStore() }, LOGGED)
    expect(await outcomeOf(db.get('key', { durable: 1 as unknown as boolean }))).toBe('INVALID')
    await db.close()
  })
})

describe('another kind of log than the owner before', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-kinds-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  const kinds: Record<string, () => OpenOptions> = {
    none: () => QUIET,
    local: () => ({ ...QUIET, ...localLog(folder) }),
    'object-store': () => LOGGED,
  }

  for (const next of Object.keys(kinds)) {
    test(`what a log in the store held is replayed with ${next}`, async () => {
      const store = new MemoryObjectStore()
      await writeAndDie(store, LOGGED, numbered(0, 10))
      const db = await open({ store }, kinds[next]?.())
      expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 10)))
      await db.put('more', '1')
      await db.close()
      expect((await segmentsIn(store)).segments).toBe(0)
      const last = await open({ store }, LOGGED)
      expect(await contents(last)).toEqual(Object.fromEntries([...numbered(0, 10), ['more', '1']]))
      await last.close()
    })
  }

  test('store, then local, then local again, all killed: both logs are replayed in their order', async () => {
    const store = new MemoryObjectStore()
    await writeAndDie(store, LOGGED, numbered(0, 10))
    await writeAndDie(store, { ...QUIET, ...localLog(folder) }, numbered(5, 15, 30))
    await writeAndDie(store, { ...QUIET, ...localLog(folder) }, numbered(12, 20, 40))
    const db = await open({ store }, { ...QUIET, ...localLog(folder) })
    expect(await contents(db)).toEqual(Object.fromEntries([...numbered(0, 10), ...numbered(5, 15, 30), ...numbered(12, 20, 40)]))
    await db.close()
  })

  test('local in the default folder, then store on the same machine, then another machine: a prefix, and all of it', async () => {
    const before = process.env['XDG_STATE_HOME']
    const store = new MemoryObjectStore()
    try {
      process.env['XDG_STATE_HOME'] = join(folder, 'one')
      await writeAndDie(store, { ...QUIET, wal: { kind: 'local', sync: 'never' } }, numbered(0, 10))
      await writeAndDie(store, LOGGED, numbered(10, 15))
      process.env['XDG_STATE_HOME'] = join(folder, 'two')
      const db = await open({ store }, LOGGED)
      expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 15)))
      await db.close()
    } finally {
      if (before === undefined) delete process.env['XDG_STATE_HOME']
      else process.env['XDG_STATE_HOME'] = before
    }
  })
})

describe('pitfall 32: a writer that stalls and is deposed', () => {
  test('stop A before its segment PUT; B takes over, flushes, collects and closes; resume A: no acknowledgement', async () => {
    const memory = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const { store, stall, resume } = stallOn(memory, clock)
    const a = await open({ store }, LOGGED)
    await putAll(a, numbered(0, 5))
    stall()
    const late = numbered(5, 10).map(([key, value]) => outcomeOf(a.put(key, value)))
    await clock.advance(10)
    const b = await open({ store: memory }, LOGGED)
    expect(await contents(b)).toEqual(Object.fromEntries(numbered(0, 5)))
    await b.put('b', '1')
    await b.flush()
    await b.close()
    resume()
    expect(new Set(await Promise.all(late))).toEqual(new Set(['FENCED']))
    expect(await outcomeOf(a.put('more', '1'))).toBe('FENCED')
    await a.close().catch(() => {})
    const db = await open({ store: memory }, LOGGED)
    expect(await contents(db)).toEqual(Object.fromEntries([...numbered(0, 5), ['b', '1']]))
    await db.close()
  })
})

describe('pitfall 22: writes in flight on a store that does not answer', () => {
  async function stalled(options: OpenOptions = {}): Promise<{ db: Db; clock: SimulatedClock; outcomes: string[]; memory: MemoryObjectStore; resume: () => void }> {
    const memory = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const { store, stall, resume } = stallOn(memory, clock)
    const db = await clock.drive(open({ store }, { ...LOGGED, clock, ...options }))
    stall()
    const outcomes: string[] = []
    for (const [key, value] of numbered(0, 20)) void outcomeOf(db.put(key, value)).then((outcome) => outcomes.push(outcome))
    await clock.advance(100)
    expect(outcomes).toEqual([])
    return { db, clock, outcomes, memory, resume }
  }

  test('close gives up in its time, and every write knows', async () => {
    const { db, clock, outcomes } = await stalled({ closeTimeoutMs: 2_000 })
    const closing = outcomeOf(db.close())
    expect(await clock.drive(closing)).toBe('UNAVAILABLE')
    await clock.advance(0)
    expect(outcomes).toEqual(Array.from({ length: 20 }, () => 'UNAVAILABLE'))
  })

  test('close waits for a store that comes back', async () => {
    const { db, clock, outcomes, memory, resume } = await stalled()
    const closing = outcomeOf(db.close())
    await clock.advance(1_000)
    resume()
    expect(await clock.drive(closing)).toBe('ok')
    expect(outcomes).toEqual(Array.from({ length: 20 }, () => 'ok'))
    const next = await open({ store: memory }, LOGGED)
    expect(await contents(next)).toEqual(Object.fromEntries(numbered(0, 20)))
    await next.close()
  })

  test('a fence found by the check meanwhile fails them at once', async () => {
    const { db, clock, outcomes, memory } = await stalled({ fenceCheckIntervalMs: 1_000 })
    const b = await open({ store: memory }, LOGGED)
    await clock.advance(2_000)
    expect(outcomes).toEqual(Array.from({ length: 20 }, () => 'FENCED'))
    await db.close().catch(() => {})
    await b.close()
  })

  test('a write that is held back can be given up; one that was taken in cannot', async () => {
    const { db, clock, outcomes, resume } = await stalled()
    const abort = new AbortController()
    const taken = db.put('taken', '1', { signal: abort.signal })
    abort.abort(GONE)
    await expect(taken).rejects.toMatchObject({ code: 'ABORTED', detail: { taken: true } })
    await clock.advance(100)
    resume()
    await clock.advance(100)
    expect(await textOf(db.get('taken', { durable: true }))).toBe('1')
    expect(outcomes).toHaveLength(20)
    await clock.drive(db.close())
  })
})
