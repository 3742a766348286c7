// Invariant: every call of the public API ends at its signal or its time with ABORTED: a read gives up its wait, a write that
// is held back leaves no trace, a write that was taken in says so; and nothing is left behind, neither timer nor listener.
import { FaultyObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import {
  type CallLimits,
  clone,
  collectGarbage,
  type Db,
  type DbReader,
  destroy,
  isMoraineError,
  MemoryBudget,
  type MoraineError,
  open,
  openReader,
  verify,
  WriteBatch,
} from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, textOf } from './subject.ts'

interface Stage {
  readonly store: FaultyObjectStore
  readonly clock: SimulatedClock
  readonly db: Db
  /** From now on the store answers nothing. */
  readonly silence: () => void
  readonly wake: () => void
}

/** A database with something in tables and nothing of it in caches. */
async function stage(): Promise<Stage> {
  const clock = new SimulatedClock()
  const store = new FaultyObjectStore(new MemoryObjectStore({ clock }), () => undefined, { clock })
  const options = { ...QUIET, clock, blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0, closeTimeoutMs: 1_000 }
  const first = await open({ store, prefix: 'db' }, options)
  await putAll(first, numbered(0, 200))
  await first.checkpoint({ name: 'one' })
  await putAll(first, numbered(200, 300))
  await first.close()
  const db = await open({ store, prefix: 'db' }, options)
  let answer = (): void => {}
  const silence = (): void => {
    const until = new Promise<void>((resolve) => (answer = resolve))
    store.plan = () => ({ kind: 'delay', until })
  }
  const wake = (): void => {
    store.plan = () => undefined
    answer()
  }
  return { store, clock, db, silence, wake }
}

/** A store whose answers take 100 ms and that hears no signal. */
function slowAndDeaf(store: FaultyObjectStore, clock: SimulatedClock): FaultyObjectStore {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]) => {
        await new Promise<void>((resolve) => clock.setTimer(100, resolve))
        const heard = args.map((arg) => (typeof arg === 'object' && arg !== null && 'signal' in arg ? { ...arg, signal: undefined } : arg))
        return (await Reflect.apply(member, target, heard)) as unknown
      }
    },
  })
}

async function errorOf(call: Promise<unknown>): Promise<MoraineError> {
  const error: unknown = await call.then(
    () => new Error('the call resolved'),
    (thrown: unknown) => thrown,
  )
  if (!isMoraineError(error)) throw error
  return error
}

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) {
    // Only its end is wanted.
  }
}

/** Every call that waits for the store, with the limits to be passed. */
const CALLS: Record<string, (db: Db, limits: CallLimits) => Promise<unknown>> = {
  get: (db, limits) => db.get('key-000000', limits),
  getMany: (db, limits) => db.getMany(['key-000000', 'key-000199'], limits),
  scan: (db, limits) => drained(db.scan(limits)),
  scanBatches: (db, limits) => drained(db.scanBatches(limits)),
  'put (store)': (db, limits) => db.put('a', '1', { durability: 'store', ...limits }),
  'delete (store)': (db, limits) => db.delete('a', { durability: 'store', ...limits }),
  'write (store)': (db, limits) => db.write(new WriteBatch().put('a', '1'), { durability: 'store', ...limits }),
  'deleteRange (store)': (db, limits) => db.deleteRange({ gte: 'a', lt: 'b' }, { durability: 'store', ...limits }),
  'put with a TTL (store)': (db, limits) => db.put('a', '1', { ttlMs: 1e6, durability: 'store', ...limits }),
  'compact of a keyspace': (db, limits) => db.put('a', '1').then(() => db.keyspace('k').compact({}, limits)),
  flush: (db, limits) => db.put('a', '1').then(() => db.flush(limits)),
  compact: (db, limits) => db.compact({}, limits),
  checkpoint: (db, limits) => db.checkpoint({ ...limits }),
  deleteCheckpoint: (db, limits) => db.deleteCheckpoint('one', limits),
  diffCheckpoints: (db, limits) => db.diffCheckpoints('one', undefined, limits),
  restore: (db, limits) => db.restore('one', limits),
}

describe('a call of a database whose store does not answer', () => {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name} ends at its time and at its signal, and leaves nothing behind`, async () => {
      const { clock, db, silence, wake } = await stage()
      const timers = clock.pendingTimers
      silence()
      const late = call(db, { timeoutMs: 700 })
      late.catch(() => {})
      await clock.advance(699)
      expect(await Promise.race([late.then(() => 'ended', () => 'ended'), Promise.resolve('waits')])).toBe('waits')
      await clock.advance(1)
      expect(await errorOf(late)).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 700 } })
      if (name !== 'restore') {
        const abort = new AbortController()
        const given = call(db, { signal: abort.signal, timeoutMs: 60_000 })
        given.catch(() => {})
        await clock.advance(10)
        abort.abort()
        expect((await errorOf(given)).code).toBe('ABORTED')
      }
      wake()
      await clock.advance(1_000)
      // Once an entry that expires is in a table, the compactor waits for its end.
      const expiring = name === 'put with a TTL (store)' ? 1 : 0
      expect(clock.pendingTimers).toBeLessThanOrEqual(timers + expiring)
      await clock.drive(db.close())
      expect(clock.pendingTimers).toBe(0)
    })

    test(`${name} with a signal that has fired does nothing`, async () => {
      const { clock, db, store } = await stage()
      const before = db.stats()
      let asked = 0
      store.plan = () => {
        asked++
        return undefined
      }
      // These two write first.
      if (name !== 'flush' && name !== 'compact of a keyspace') {
        expect(await outcomeOf(call(db, { signal: AbortSignal.abort() }))).toBe('ABORTED')
        expect(db.stats().lastSequence).toBe(before.lastSequence)
        expect(asked).toBe(0)
      }
      expect(await outcomeOf(db.flush({ signal: AbortSignal.abort() }))).toBe('ABORTED')
      expect(await outcomeOf(db.checkpoints({ signal: AbortSignal.abort() }))).toBe('ABORTED')
      expect(await outcomeOf(db.detach({ signal: AbortSignal.abort() }))).toBe('ABORTED')
      expect(db.stats().manifestId).toBe(before.manifestId)
      await clock.drive(db.close())
    })

    test(`${name} refuses limits that are none`, async () => {
      const { clock, db } = await stage()
      for (const bad of [{ timeoutMs: 0 }, { timeoutMs: 1.5 }, { timeoutMs: '5' }, { timeoutMs: 2 ** 31 }, { signal: {} }]) {
        const outcome = outcomeOf((async () => await call(db, bad as CallLimits))())
        expect(await outcome).toBe('INVALID')
      }
      await clock.drive(db.close())
    })
  }

  test('a time that is long enough changes no answer', async () => {
    const { clock, db } = await stage()
    const limits = { timeoutMs: 60_000, signal: new AbortController().signal }
    const timers = clock.pendingTimers
    await db.put('a', '1', limits)
    expect(await textOf(db.get('a', limits))).toBe('1')
    expect(await db.getMany(['a', 'none', 'key-000007'], limits)).toHaveLength(3)
    expect(Object.keys(await contents(db, limits))).toHaveLength(301)
    await db.flush(limits)
    await db.compact({}, limits)
    const checkpoint = await db.checkpoint({ name: 'two', ...limits })
    expect(await db.checkpoints(limits)).toHaveLength(2)
    await db.deleteCheckpoint('two', limits)
    expect(checkpoint.name).toBe('two')
    await db.restore('one', limits)
    expect(Object.keys(await contents(db, limits))).toHaveLength(200)
    expect(clock.pendingTimers).toBeLessThanOrEqual(timers)
    await clock.drive(db.close())
    expect(clock.pendingTimers).toBe(0)
  })

  test('a read that gives up does not take the fetch from the others', async () => {
    const { clock, db, silence, wake } = await stage()
    silence()
    const stays = db.get('key-000000')
    const leaves = outcomeOf(db.get('key-000000', { timeoutMs: 50 }))
    await clock.advance(50)
    expect(await leaves).toBe('ABORTED')
    wake()
    expect(await textOf(clock.drive(stays))).toContain('value-0-')
    await clock.drive(db.close())
  })

  test('a scan that gives up lets go of its view', async () => {
    const { clock, db, silence, wake } = await stage()
    silence()
    const scan = db.scan({ timeoutMs: 50 })
    const step = outcomeOf(scan.next())
    await clock.advance(50)
    expect(await step).toBe('ABORTED')
    wake()
    await clock.advance(1)
    expect(await scan.next()).toEqual({ done: true, value: undefined })
    expect(db.stats().memory).toMatchObject({ readAhead: 0, heldMemtables: 0 })
    // A table that the view still held would refuse to go.
    await clock.drive(db.compact())
    await clock.drive(db.close())
  })

  test('the time of a scan is for each wait, not for what the caller does in between', async () => {
    const { clock, db } = await stage()
    let entries = 0
    for await (const _ of db.scan({ timeoutMs: 50 })) {
      if (entries++ % 100 === 0) await clock.advance(1_000)
    }
    expect(entries).toBe(300)
    await clock.drive(db.close())
  })
})

describe('writes at their limit', () => {
  function heldBack(db: Db): Promise<string>[] {
    const outcomes: Promise<string>[] = []
    for (let i = 0; db.stats().writes.held < 2 && i < 200; i++) outcomes.push(outcomeOf(db.put(`stall-${i}`, 'x'.repeat(150_000))))
    return outcomes
  }

  test('one that is held back is withdrawn without a trace, at its time and at its signal', async () => {
    const { clock, db, store } = await stage()
    store.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    const before = heldBack(db)
    const abort = new AbortController()
    const withdrawn: Record<string, Promise<unknown>> = {
      put: db.put('no-put', '1', { timeoutMs: 100 }),
      delete: db.delete('stall-0', { timeoutMs: 100 }),
      write: db.write(new WriteBatch().put('no-batch', '1'), { signal: abort.signal }),
      checkpoint: db.checkpoint({ name: 'no', timeoutMs: 100 }),
      flush: db.flush({ timeoutMs: 100 }),
    }
    const errors = Promise.all(Object.values(withdrawn).map(errorOf))
    const { held } = db.stats().writes
    expect(held).toBe(7)
    abort.abort()
    await clock.advance(100)
    for (const error of await errors) {
      expect(error.code).toBe('ABORTED')
      expect(error.detail['taken']).toBeUndefined()
    }
    expect(db.stats().writes.held).toBe(2)
    store.plan = () => undefined
    expect(new Set(await clock.drive(Promise.all(before)))).toEqual(new Set(['ok']))
    await clock.drive(db.flush())
    expect(await db.get('no-put')).toBeUndefined()
    expect(await db.get('no-batch')).toBeUndefined()
    expect(await db.get('stall-0')).toBeDefined()
    expect((await db.checkpoints()).map(({ name }) => name)).toEqual(['one'])
    await clock.drive(db.close())
  })

  test('one that was taken in says so, is read, and is there after all', async () => {
    const { clock, db, store, silence, wake } = await stage()
    silence()
    const error = errorOf(db.put('taken', '1', { durability: 'store', timeoutMs: 100 }))
    await clock.advance(100)
    expect(await error).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 100, taken: true }, message: expect.stringContaining('durable') })
    expect(await textOf(db.get('taken'))).toBe('1')
    wake()
    await clock.drive(db.close())
    const again = await open({ store, prefix: 'db' }, { ...QUIET, clock })
    expect(await textOf(again.get('taken'))).toBe('1')
    await clock.drive(again.close())
  })

  test('one that was held back and then taken in counts as taken', async () => {
    const { clock, db, store } = await stage()
    store.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
    const before = heldBack(db)
    const error = errorOf(db.put('late', '1', { durability: 'store', timeoutMs: 30_000 }))
    // The two before it fill the next memtable; from the moment on in which it is taken in, the store is silent.
    db.on('resume', ({ heldWrites }) => {
      if (heldWrites === 1) store.plan = () => ({ kind: 'delay', until: new Promise(() => {}) })
    })
    store.plan = () => undefined
    await clock.advance(30_000)
    expect(await error).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 30_000, taken: true } })
    expect(await textOf(db.get('late'))).toBe('1')
    await Promise.all(before)
    await clock.drive(db.close().catch(() => {}))
  })
})

describe('calls without a database', () => {
  const calls: Record<string, (store: FaultyObjectStore, clock: SimulatedClock, limits: CallLimits) => Promise<unknown>> = {
    open: (store, clock, limits) => open({ store, prefix: 'db' }, { ...QUIET, clock, ...limits }),
    openReader: (store, clock, limits) => openReader({ store, prefix: 'db' }, { clock, refreshIntervalMs: 0, ...limits }),
    clone: (store, clock, limits) => clone({ store, prefix: 'db' }, { store, prefix: 'copy' }, { clock, ...limits }),
    destroy: (store, clock, limits) => destroy({ store, prefix: 'db' }, { clock, ...limits }),
    verify: (store, clock, limits) => verify({ store, prefix: 'db' }, { clock, ...limits }),
    collectGarbage: (store, clock, limits) => collectGarbage({ store, prefix: 'db' }, { clock, ...limits }),
  }

  for (const [name, call] of Object.entries(calls)) {
    test(`${name} ends at its time and at its signal`, async () => {
      const { clock, db, store, silence, wake } = await stage()
      await clock.drive(db.close())
      silence()
      const late = errorOf(call(store, clock, { timeoutMs: 700 }))
      await clock.advance(700)
      expect(await late).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 700 } })
      const abort = new AbortController()
      const given = errorOf(call(store, clock, { signal: abort.signal }))
      await clock.advance(10)
      abort.abort()
      expect((await given).code).toBe('ABORTED')
      expect(await outcomeOf(call(store, clock, { signal: AbortSignal.abort() }))).toBe('ABORTED')
      expect(await outcomeOf(call(store, clock, { timeoutMs: -1 }))).toBe('INVALID')
      wake()
      await clock.advance(60_000)
      expect(clock.pendingTimers).toBe(0)
    })
  }

  test('what opens although nobody waits any more is closed again, whenever the time comes', async () => {
    const { clock, db, store } = await stage()
    await clock.drive(db.close())
    const budget = new MemoryBudget({ totalBytes: 16 * 1024 * 1024 })
    const slow = slowAndDeaf(store, clock)
    const outcomes = new Set<string>()
    for (let timeoutMs = 50; timeoutMs < 2_000; timeoutMs += 50) {
      const limits = { clock, timeoutMs, memoryBudget: budget }
      const opening = open({ store: slow, prefix: 'db' }, { ...QUIET, ...limits, closeTimeoutMs: 60_000 })
      const reading = openReader({ store: slow, prefix: 'db' }, limits)
      const ended = [opening, reading].map(async (each) => {
        const outcome = await outcomeOf(each)
        outcomes.add(outcome)
        if (outcome === 'ok') await (await each).close()
      })
      await clock.drive(Promise.all(ended))
      await clock.advance(120_000)
      expect([budget.stats().databases, clock.pendingTimers]).toEqual([0, 0])
    }
    expect(outcomes).toEqual(new Set(['ABORTED', 'ok']))
  })

  test('a refresh of a reader ends at its time', async () => {
    const { clock, db, store, silence, wake } = await stage()
    const reader: DbReader = await openReader({ store, prefix: 'db' }, { clock, refreshIntervalMs: 0 })
    silence()
    const late = errorOf(reader.refresh({ timeoutMs: 100 }))
    await clock.advance(100)
    expect(await late).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 100 } })
    wake()
    await clock.drive(reader.close())
    await clock.drive(db.close())
  })
})

test('ten thousand calls with one signal have one listener at most, and leave none', async () => {
  const abort = new AbortController()
  const { signal } = abort
  let listeners = 0
  let most = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: unknown[]) => {
    most = Math.max(most, ++listeners)
    Reflect.apply(addEventListener, signal, args)
  }
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--
    Reflect.apply(removeEventListener, signal, args)
  }
  const warnings: Error[] = []
  const heard = (warning: Error): void => void warnings.push(warning)
  process.on('warning', heard)
  const db = await open({ store: new MemoryObjectStore() }, { ...QUIET, blockCacheSizeBytes: 0, memtableSizeBytes: 4 * 1024 * 1024 })
  for (let round = 0; round < 100; round++) {
    const puts = Array.from({ length: 40 }, (_, i) => db.put(`k${round}-${i}`, 'v', { signal, timeoutMs: 60_000 }))
    const gets = Array.from({ length: 40 }, (_, i) => db.get(`k${round - 1}-${i}`, { signal, timeoutMs: 60_000 }))
    const rest = [db.getMany([`k0-1`, `k${round}-2`], { signal }), contents(db, { signal, limit: 20 }), db.flush({ signal, timeoutMs: 60_000 })]
    await Promise.all([...puts, ...gets, ...rest])
  }
  await new Promise((resolve) => setTimeout(resolve, 1))
  process.off('warning', heard)
  expect([listeners, warnings]).toEqual([0, []])
  expect(most).toBe(1)
  await db.close()
})
