// Invariant: writes that are held back are woken by room, close, fence and abort, each with the right code; a store that
// is away costs time, never a write that was acknowledged, and close ends at its deadline whatever the store does.
import { FaultyObjectStore, MemoryObjectStore, type StoreFault } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, type EngineEvents, open, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, outcomeOf, QUIET, SMALL, textOf } from './subject.ts'

const HALF_MEMTABLE = 'x'.repeat(150_000)

/** Nothing but lists and gets is answered; what `heal` changes. */
function sickStore(): { store: FaultyObjectStore; inner: MemoryObjectStore; clock: SimulatedClock; heal: () => void } {
  const clock = new SimulatedClock()
  const inner = new MemoryObjectStore({ clock })
  const store = new FaultyObjectStore(inner, () => undefined, { clock })
  return { store, inner, clock, heal: () => void (store.plan = () => undefined) }
}

function fail(...operations: string[]): (operation: string) => StoreFault | undefined {
  return (operation) => (operations.length === 0 || operations.includes(operation) ? { kind: 'fail' } : undefined)
}

/** Starts writes until some are held back; gives their outcomes, in order. */
function stall(db: Db, signal?: AbortSignal): Promise<string>[] {
  const outcomes: Promise<string>[] = []
  for (let i = 0; db.stats().writes.held < 5 && i < 200; i++) {
    outcomes.push(outcomeOf(db.put(`stall-${String(i).padStart(3, '0')}`, HALF_MEMTABLE, signal === undefined ? {} : { signal })))
  }
  expect(db.stats().writes.held).toBe(5)
  return outcomes
}

function tally(codes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1
  return counts
}

/** Three kinds of stall: the memtables are full, or level 0 is, or the memory budget. */
const STALLS: Record<string, { options: OpenOptions; sick: (operation: string, key: string) => StoreFault | undefined }> = {
  memtables: { options: { ...QUIET, maxSealedMemtables: 1 }, sick: fail('put') },
  memory: {
    options: { ...QUIET, memoryBudget: 4 * 1024 * 1024, memtableSizeBytes: 64 * 1024 * 1024, maxSealedMemtables: 8 },
    sick: fail('put'),
  },
  level0: {
    options: { ...SMALL, level0CompactionTrigger: 2, level0StopTrigger: 3, maxSealedMemtables: 8 },
    // Compaction reads its inputs, flushes do not.
    sick: (operation) => (operation === 'get' ? { kind: 'fail' } : undefined),
  },
}

/** Stalls level 0: flushes work, compactions do not. */
async function stallBy(name: string, db: Db, clock: SimulatedClock): Promise<Promise<string>[]> {
  if (name !== 'level0') return stall(db)
  const before: Promise<string>[] = []
  for (let i = 0; i < 40 && db.stats().writes.held < 5; i++) {
    // One key is in every table, so that none can move down unread.
    const batch = new WriteBatch().put(`stall-${String(i).padStart(3, '0')}`, HALF_MEMTABLE).put('in every table', String(i))
    before.push(outcomeOf(db.write(batch)))
    await clock.advance(10)
  }
  expect(db.stats().writes.held).toBe(5)
  return before
}

describe('writes that are held back', () => {
  for (const [name, { options, sick }] of Object.entries(STALLS)) {
    test(`pitfall 22: ${name}: room wakes them, in order`, async () => {
      const { store, clock, heal } = sickStore()
      const db = await open({ store }, { ...options, clock })
      const reasons: string[] = []
      db.on('stall', ({ reason }) => reasons.push(reason))
      store.plan = sick
      const outcomes = await stallBy(name, db, clock)
      expect(reasons).toContain(name)
      heal()
      expect(tally(await clock.drive(Promise.all(outcomes)))).toEqual({ ok: outcomes.length })
      expect(db.stats().writes.held).toBe(0)
      expect(Object.keys(await contents(db, { prefix: 'stall-' }))).toHaveLength(outcomes.length)
      await clock.drive(db.close())
    })

    test(`pitfall 22: ${name}: close wakes them with CLOSED`, async () => {
      const { store, inner, clock, heal } = sickStore()
      const db = await open({ store }, { ...options, clock })
      store.plan = sick
      const outcomes = await stallBy(name, db, clock)
      const closing = db.close()
      await clock.advance(1_000)
      heal()
      await clock.drive(closing)
      expect(tally(await Promise.all(outcomes))).toEqual({ ok: outcomes.length - 5, CLOSED: 5 })
      const again = await open({ store: inner }, { ...QUIET, clock })
      expect(Object.keys(await contents(again, { prefix: 'stall-' }))).toHaveLength(outcomes.length - 5)
      await again.close()
    })

    test(`pitfall 22: ${name}: a fence wakes them with FENCED`, async () => {
      const { store, inner, clock, heal } = sickStore()
      const db = await open({ store }, { ...options, clock })
      store.plan = sick
      const outcomes = await stallBy(name, db, clock)
      const next = await open({ store: inner }, { ...QUIET, clock })
      heal()
      expect(tally(await clock.drive(Promise.all(outcomes)))).toEqual({ ok: outcomes.length - 5, FENCED: 5 })
      await clock.drive(db.close().catch(() => {}))
      await next.close()
    })

    test(`pitfall 22: ${name}: an abort wakes one, and the others stay in order`, async () => {
      const { store, clock, heal } = sickStore()
      const db = await open({ store }, { ...options, clock })
      store.plan = sick
      const outcomes = await stallBy(name, db, clock)
      const abort = new AbortController()
      const aborted = outcomeOf(db.put('aborted', 'never', { signal: abort.signal }))
      const last = outcomeOf(db.put('disputed', 'last', { signal: abort.signal }))
      const surviving = outcomeOf(db.put('disputed', 'wins'))
      abort.abort()
      expect(await aborted).toBe('ABORTED')
      expect(await last).toBe('ABORTED')
      heal()
      expect(tally(await clock.drive(Promise.all([...outcomes, surviving])))).toEqual({ ok: outcomes.length + 1 })
      expect(await textOf(db.get('aborted'))).toBeUndefined()
      expect(await textOf(db.get('disputed'))).toBe('wins')
      await clock.drive(db.close())
    })
  }

  test('a write of bytes that the caller changes while it is held back keeps what was given', async () => {
    const { store, clock, heal } = sickStore()
    const db = await open({ store }, { ...QUIET, maxSealedMemtables: 1, clock })
    store.plan = fail('put')
    const outcomes = stall(db)
    const key = new TextEncoder().encode('key')
    const value = new TextEncoder().encode('value')
    outcomes.push(outcomeOf(db.put(key, value)))
    key.fill(0)
    value.fill(0)
    heal()
    await clock.drive(Promise.all(outcomes))
    expect(await textOf(db.get('key'))).toBe('value')
    await clock.drive(db.close())
  })
})

describe('an outage', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-outage-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  test('a flush that fails for ten minutes goes through afterwards, with an error event for each try', async () => {
    const { store, clock, heal } = sickStore()
    const db = await open({ store }, { ...SMALL, clock })
    const errors: boolean[] = []
    db.on('error', ({ willRetry }) => errors.push(willRetry))
    await db.put('a', '1')
    store.plan = fail()
    const flushing = db.flush()
    flushing.catch(() => {})
    await clock.advance(600_000)
    expect(await textOf(db.get('a'))).toBe('1')
    expect(errors.length).toBeGreaterThan(10)
    expect(errors).not.toContain(false)
    heal()
    await clock.drive(flushing)
    expect(db.stats().flushedSequence).toBe(1)
    await clock.drive(db.close())
  })

  test('close gives up at its deadline, says what is not stored, and the log has everything', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(inner, () => undefined, { clock })
    const db = await open({ store }, { ...SMALL, ...localLog(join(folder, 'wal')), clock, closeTimeoutMs: 5_000 })
    await db.put('a', '1')
    await db.put('b', '2')
    store.plan = fail()
    const closing = db.close()
    closing.catch(() => {})
    await clock.advance(60_000)
    await expect(closing).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { unflushedWrites: 2 } })
    expect(await outcomeOf(db.put('c', '3'))).toBe('CLOSED')
    expect(await outcomeOf(db.get('a'))).toBe('CLOSED')
    const again = await open({ store: inner }, { ...SMALL, ...localLog(join(folder, 'wal')) })
    expect(await contents(again)).toEqual({ a: '1', b: '2' })
    await again.close()
  })

  test('close ends at its deadline when the store never answers at all, whatever was under way', async () => {
    const underWay: Record<string, (db: Db) => void> = {
      nothing: () => {},
      'a read': (db) => void db.get('cold').catch(() => {}),
      'a scan': (db) => void contents(db).catch(() => {}),
      'a flush': (db) => void db.flush().catch(() => {}),
      'a compaction': (db) => void db.compact().catch(() => {}),
      'a checked ownership': (db) => void db.put('x', 'y', { durability: 'store' }).catch(() => {}),
    }
    for (const [what, start] of Object.entries(underWay)) {
      const inner = new MemoryObjectStore()
      const first = await open({ store: inner }, QUIET)
      for (let round = 0; round < 3; round++) {
        await first.put('cold', `value ${round}`)
        await first.flush()
      }
      await first.close()
      const clock = new SimulatedClock()
      const store = new FaultyObjectStore(inner, () => undefined, { clock })
      const db = await open({ store }, { ...QUIET, clock, closeTimeoutMs: 5_000 })
      await db.put('new', 'unflushed')
      store.plan = () => ({ kind: 'delay', until: new Promise(() => {}) })
      start(db)
      await clock.advance(100)
      const closing = outcomeOf(db.close())
      await clock.advance(30_000)
      const outcome = await Promise.race([closing, clock.advance(1).then(() => `hangs with ${what} under way`)])
      expect(outcome).toBe('UNAVAILABLE')
    }
  })

  test('close ends although the store answers nothing but what is flushed: deletions do not hold it', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(inner, () => undefined, { clock })
    const db = await open({ store }, { ...QUIET, clock, closeTimeoutMs: 5_000 })
    for (let round = 0; round < 3; round++) {
      await db.put('a', String(round))
      await db.flush()
    }
    store.plan = (operation) => (operation === 'deleteMany' ? { kind: 'delay', until: new Promise(() => {}) } : undefined)
    await db.compact()
    const closing = outcomeOf(db.close())
    await clock.advance(30_000)
    expect(await Promise.race([closing, clock.advance(1).then(() => 'hangs')])).toBe('ok')
  })

  test('close ends although a compaction waits for a read that is never answered', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(inner, () => undefined, { clock })
    const db = await open({ store }, { ...SMALL, clock, closeTimeoutMs: 5_000 })
    store.plan = (operation) => (operation === 'get' ? { kind: 'delay', until: new Promise(() => {}) } : undefined)
    for (let round = 0; round < 3; round++) {
      await db.put('a', String(round))
      await db.flush()
    }
    await clock.advance(100)
    const closing = outcomeOf(db.close())
    await clock.advance(30_000)
    expect(await Promise.race([closing, clock.advance(1).then(() => 'hangs')])).toBe('ok')
    const again = await open({ store: inner }, SMALL)
    expect(await contents(again)).toEqual({ a: '2' })
    await again.close()
  })

  test('a database that was cut off in its compaction closes, and the next one has everything', async () => {
    const inner = new MemoryObjectStore()
    for (let call = 8, ended = false; !ended; call += 3) {
      const store = new CutObjectStore(inner, { call, when: 'before' })
      const opening = open({ store }, { ...SMALL, closeTimeoutMs: 1 })
      const writing = opening.then(async (db) => {
        for (let round = 0; round < 6; round++) {
          await db.put(`k${round}`, String(call))
          await db.flush()
        }
      })
      writing.catch(() => {})
      ended = await Promise.race([writing.then(() => true), store.reached.then(() => false)])
      const db = await Promise.race([opening.catch(() => undefined), store.reached.then(() => undefined)])
      store.bury()
      await db?.close().catch(() => {})
    }
    const db = await open({ store: inner }, SMALL)
    expect(Object.keys(await contents(db))).toHaveLength(6)
    await db.close()
  })
})

describe('pitfall 14: a store that asks to slow down', () => {
  test('ten calls of a hundred fail and nothing is lost', async () => {
    const { store, inner, clock, heal } = sickStore()
    const db = await open({ store }, { ...SMALL, clock })
    let calls = 0
    store.plan = () => (calls++ % 10 === 3 ? { kind: 'fail' } : undefined)
    const errors: EngineEvents['error'][] = []
    db.on('error', (event) => errors.push(event))
    const expected: Record<string, string> = {}
    for (let round = 0; round < 20; round++) {
      expected[`k${round % 7}`] = String(round)
      await clock.drive(db.put(`k${round % 7}`, String(round), { durability: 'store' }))
    }
    expect(await clock.drive(contents(db))).toEqual(expected)
    expect(errors.filter(({ willRetry }) => !willRetry)).toEqual([])
    await clock.drive(db.close())
    heal()
    const again = await open({ store: inner }, SMALL)
    expect(await contents(again)).toEqual(expected)
    await again.close()
  })
})
