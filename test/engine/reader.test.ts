// Invariant: a reader sees exactly what the writer had stored at one moment, never a mixture; what it reads is not collected
// while its lease lasts, and when the lease is over it says so instead of guessing. It writes nothing but its pin.
import { SeededRandom } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type ObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { collectGarbage, type DbReader, open, openReader, type OpenReaderOptions, type ScanOptions } from 'moraine'
import { isLapsed, listPins } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { contents as contentsOf, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

const MANUAL: OpenReaderOptions = { refreshIntervalMs: 0 }

function contents(reader: DbReader, options?: ScanOptions): Promise<Record<string, string>> {
  return contentsOf(reader as never, options)
}

async function pinNames(store: ObjectStore): Promise<string[]> {
  return (await listPins(store)).pins.map(({ manifestId, scope, holder }) => `${scope} ${manifestId} ${holder.kind}`)
}

/** Credentials that may only read. */
class ReadOnlyStore extends WrappedObjectStore {
  readonly refused: string[] = []

  protected override around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    if (['put', 'delete', 'deleteMany'].includes(call.operation)) {
      this.refused.push(call.operation)
      return Promise.reject(new Error('403 AccessDenied'))
    }
    return run()
  }
}

describe('following', () => {
  test('sees what is flushed, moves with refresh, and answers every kind of read', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    await db.flush()
    await db.put('a', 'not flushed')
    const reader = await openReader({ store }, MANUAL)
    expect(await contents(reader)).toEqual({ a: '1' })
    expect(await reader.refresh()).toBe(false)
    await db.put('b', '2')
    await db.delete('a')
    await db.flush()
    expect(await contents(reader)).toEqual({ a: '1' })
    const seen: unknown[] = []
    reader.on('refresh', (event) => seen.push(event))
    expect(await reader.refresh()).toBe(true)
    expect(await contents(reader)).toEqual({ b: '2' })
    expect(await textOf(reader.get('b'))).toBe('2')
    expect(await reader.get('a')).toBeUndefined()
    expect((await reader.getMany(['b', 'a'])).map((value) => value?.length)).toEqual([1, undefined])
    expect(reader.getResident('b')).toEqual({ value: new Uint8Array([50]) })
    expect(seen).toEqual([{ manifestId: reader.stats().manifestId, lastSequence: 4 }])
    expect(reader.stats()).toMatchObject({ databaseId: db.stats().databaseId, lastSequence: 4, pins: 1, checkpoint: undefined })
    await reader.close()
    await db.close()
  })

  test('polls by itself when asked to, and makes no request otherwise', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore({ clock })
    const db = await open({ store }, { ...QUIET, clock })
    const calls = new CutObjectStore(store)
    const idle = await openReader({ store: calls }, { refreshIntervalMs: 0, clock, lease: 86_400_000 })
    const reader = await openReader({ store }, { refreshIntervalMs: 200, clock })
    await db.put('a', '1')
    await clock.drive(db.flush())
    calls.calls.length = 0
    await clock.advance(250)
    expect(await contents(reader)).toEqual({ a: '1' })
    await clock.advance(3_600_000)
    expect(calls.calls).toEqual([])
    await idle.close()
    await reader.close()
    await db.close()
  })

  test('snapshots and scans keep their moment across refreshes, and its pin until they end', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 2000))
    await db.flush()
    const reader = await openReader({ store }, MANUAL)
    const snapshot = reader.snapshot()
    const scan = reader.scan()
    await scan.next()
    await putAll(db, numbered(0, 2000).map(([key]) => [key, 'new']))
    await db.compact()
    await reader.refresh()
    expect(reader.stats().pins).toBe(2)
    await collectGarbage({ store }, { graceMs: 0 })
    let others = 0
    for await (const [, value] of scan) {
      expect(Buffer.from(value).toString()).toContain('value-')
      others++
    }
    expect(others).toBe(1999)
    expect(await textOf(reader.get('key-000007', { snapshot }))).toContain('value-7-')
    expect(await textOf(reader.get('key-000007'))).toBe('new')
    snapshot.close()
    await reader.refresh()
    await expect.poll(() => reader.stats().pins).toBe(1)
    expect(await pinNames(store)).toHaveLength(1)
    await reader.close()
    expect(await pinNames(store)).toEqual([])
    await db.close()
  })

  test('sees a restore as the state it is', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('k', 'old')
    await db.checkpoint({ name: 'x' })
    await db.put('k', 'new')
    await db.flush()
    const reader = await openReader({ store }, MANUAL)
    expect(await contents(reader)).toEqual({ k: 'new' })
    await db.restore('x')
    await reader.refresh()
    expect(await contents(reader)).toEqual({ k: 'old' })
    await reader.close()
    await db.close()
  })

  test('the tail of a log in the store is read, across flushes, owners and restores', async () => {
    const store = new MemoryObjectStore()
    const options = { ...QUIET, wal: 'object-store' } as const
    let db = await open({ store }, options)
    await db.checkpoint({ name: 'empty' })
    await db.put('a', '1')
    const reader = await openReader({ store }, MANUAL)
    expect(await contents(reader)).toEqual({ a: '1' })
    const wanted: Record<string, string> = { a: '1' }
    for (let round = 0; round < 30; round++) {
      for (const key of [`k${round % 7}`, `r${round}`]) {
        await db.put(key, `${round}`)
        wanted[key] = `${round}`
      }
      if (round % 5 === 2) await db.flush()
      if (round === 12) await db.close()
      if (round === 20) expect(await outcomeOf(open({ store }, options).then((next) => void (db = next)))).toBe('ok')
      if (round === 12) db = await open({ store }, options)
      await reader.refresh()
      expect(await contents(reader), `round ${round}`).toEqual(wanted)
      expect(reader.stats().lastSequence).toBe(db.stats().lastSequence)
    }
    await db.flush()
    await reader.refresh()
    expect(reader.stats().memtables.entries).toBe(0)
    await db.put('given', 'up')
    await reader.refresh()
    await db.restore('empty')
    await db.put('fresh', '1')
    await reader.refresh()
    expect(await contents(reader)).toEqual({ fresh: '1' })
    await reader.close()
    await db.close()
  })

  test('no database, bad options', async () => {
    const store = new MemoryObjectStore()
    expect(await outcomeOf(openReader({ store }))).toBe('INVALID')
    for (const options of [{ lease: 5 }, { checkpoint: '' }, { refresh: 1 }, { refreshIntervalMs: -1 }, { lease: 'yes' }]) {
      expect(await outcomeOf(openReader({ store }, options as object)), JSON.stringify(options)).toBe('INVALID')
    }
    expect((await store.list('')).objects).toEqual([])
  })
})

describe('at a checkpoint', () => {
  test('frozen, whatever the writer does, also when the checkpoint is deleted and everything collected', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, SMALL)
    await putAll(db, numbered(0, 300))
    const checkpoint = await db.checkpoint({ name: 'x', metadata: { offset: 9 } })
    const reader = await openReader({ store }, { checkpoint: 'x' })
    expect(reader.checkpoint).toEqual(checkpoint)
    for (let round = 0; round < 5; round++) {
      await putAll(db, numbered(0, 300).map(([key]) => [key, `round ${round}`]))
      await db.flush()
    }
    await db.compact()
    await db.deleteCheckpoint('x')
    await collectGarbage({ store }, { graceMs: 0 })
    expect(await reader.refresh()).toBe(false)
    expect(await contents(reader)).toEqual(Object.fromEntries(numbered(0, 300)))
    expect(await outcomeOf(openReader({ store }, { checkpoint: 'x' }))).toBe('INVALID')
    await reader.close()
    await db.close()
  })

  test('one that is deleted while a reader opens it is refused', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.checkpoint({ name: 'x' })
    const racing = new FaultyObjectStore(store, () => undefined, { clock: { ...(await import('@moraine/base')).systemClock } })
    let deleted: Promise<void> | undefined
    racing.plan = (operation, key) => {
      if (operation !== 'put' || !key.startsWith('pin/')) return undefined
      deleted = db.deleteCheckpoint('x')
      return { kind: 'delay', until: deleted }
    }
    expect(await outcomeOf(openReader({ store: racing }, { checkpoint: 'x' }))).toBe('CONFLICT')
    await deleted
    expect(await pinNames(store)).toEqual([])
    await db.close()
  })
})

describe('requests and pins', () => {
  test('opening costs four requests, of a checkpoint five; a refresh with news five, without one', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    await db.checkpoint({ name: 'x' })
    await db.put('a', '2')
    await db.flush()
    const folder = (calls: string[]): string[] => calls.splice(0).map((call) => call.replace(/\/.*$/, ''))
    const counted = new CutObjectStore(store)
    const reader = await openReader({ store: counted }, MANUAL)
    expect(folder(counted.calls)).toEqual(['list manifest', 'put pin', 'list manifest', 'get manifest'])
    await reader.refresh()
    expect(folder(counted.calls)).toEqual(['list manifest'])
    await db.put('a', '3')
    await db.flush()
    await reader.refresh()
    await expect.poll(() => counted.calls.length).toBe(5)
    expect(folder(counted.calls)).toEqual(['list manifest', 'put pin', 'list manifest', 'get manifest', 'delete pin'])
    const frozen = await openReader({ store: counted }, { checkpoint: 'x' })
    expect(folder(counted.calls)).toEqual(['list manifest', 'get manifest', 'put pin', 'list manifest', 'get manifest'])
    expect(await pinNames(store)).toEqual([`only ${frozen.stats().manifestId} lease`, `only ${reader.stats().manifestId} lease`])
    await frozen.close()
    await reader.close()
    await db.close()
  })

  test('with a writer that commits between every two steps, an open pin catches it and is narrowed', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('k', '0')
    await db.flush()
    const scopes: string[] = []
    let round = 0
    const busy = new (class extends WrappedObjectStore {
      protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
        if (call.operation === 'put') scopes.push(call.key.includes('.from.') ? 'from' : 'only')
        const result = await run()
        if (call.operation === 'put' || call.operation === 'list') {
          await db.put('k', `${++round}`)
          await db.compact()
        }
        return result
      }
    })(store)
    const reader = await openReader({ store: busy }, MANUAL)
    expect(scopes).toEqual(['only', 'from', 'only'])
    await collectGarbage({ store }, { graceMs: 0 })
    expect(Number(await textOf(reader.get('k')))).toBeGreaterThan(0)
    expect(await pinNames(store)).toEqual([`only ${reader.stats().manifestId} lease`])
    await reader.close()
    await db.close()
  })

  test('pitfall 4: cut off at every call of opening, following and closing, what is read is there, and a lease ends', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let call = 1; call <= 12; call++) {
        const clock = new SimulatedClock()
        const store = new MemoryObjectStore({ clock })
        const db = await open({ store }, { ...QUIET, clock })
        await db.put('k', '1')
        await clock.drive(db.flush())
        const cut = new CutObjectStore(store, { call, when })
        const life = (async () => {
          const reader = await openReader({ store: cut }, { ...MANUAL, lease: 60_000, clock, random: new SeededRandom(call) })
          await db.put('k', '2')
          await db.compact()
          await collectGarbage({ store }, { graceMs: 0, clock })
          expect(await textOf(reader.get('k'))).toBe('1')
          await reader.refresh()
          expect(await textOf(reader.get('k'))).toBe('2')
          await reader.close()
        })()
        await clock.drive(Promise.race([life, cut.reached]))
        await clock.advance(70_000)
        const { pins, storeTimeMs } = await listPins(store)
        expect(pins.filter((pin) => !isLapsed(pin, storeTimeMs)), `${when} call ${call}`).toEqual([])
        await clock.drive(db.close())
        life.catch(() => {})
      }
    }
  })
})

describe('leases', () => {
  async function subject(clock: SimulatedClock): Promise<{ store: MemoryObjectStore; db: Awaited<ReturnType<typeof open>> }> {
    const store = new MemoryObjectStore({ clock })
    const db = await open({ store }, { ...QUIET, clock })
    await db.put('k', '1')
    await clock.drive(db.flush())
    return { store, db }
  }

  test('renewed as long as the reader lives', async () => {
    const clock = new SimulatedClock()
    const { store, db } = await subject(clock)
    const reader = await openReader({ store }, { ...MANUAL, lease: 60_000, clock })
    await clock.advance(3_600_000)
    const { pins, storeTimeMs } = await listPins(store)
    expect(pins.map((pin) => isLapsed(pin, storeTimeMs))).toEqual([false])
    expect(await textOf(reader.get('k'))).toBe('1')
    await reader.close()
    await clock.drive(db.close())
  })

  test('a lease that cannot be renewed is a clear error before a collector takes it for lapsed; refresh begins anew', async () => {
    const clock = new SimulatedClock()
    const { store, db } = await subject(clock)
    const checkpoint = await clock.drive(db.checkpoint({ name: 'x' }))
    const faulty = new FaultyObjectStore(store, () => undefined, { clock })
    for (const options of [MANUAL, { ...MANUAL, checkpoint: 'x' }]) {
      faulty.plan = () => undefined
      const reader = await openReader({ store: faulty }, { ...options, lease: 60_000, clock, random: new SeededRandom(1) })
      const errors: unknown[] = []
      reader.on('error', ({ error }) => errors.push(error.code))
      faulty.plan = (operation) => (operation === 'put' ? { kind: 'fail' } : undefined)
      await clock.advance(60_000)
      expect(errors).toContain('UNAVAILABLE')
      const { pins, storeTimeMs } = await listPins(store)
      expect(pins.some((pin) => isLapsed(pin, storeTimeMs))).toBe(false)
      await expect(reader.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /refresh\(\)/ })
      expect(await outcomeOf(contents(reader))).toBe('UNAVAILABLE')
      faulty.plan = () => undefined
      expect(await clock.drive(reader.refresh())).toBe(true)
      expect(await textOf(reader.get('k'))).toBe('1')
      await reader.close()
    }
    expect(checkpoint.name).toBe('x')
    await clock.drive(db.close())
  })

  test('pitfall 26: a reader that stood still past its lease does not read on as if nothing had happened', async () => {
    const clock = new SimulatedClock()
    const { store, db } = await subject(clock)
    // The process stands still: no timer fires, but time passes.
    const stopped = { ...clockOf(clock), setTimer: () => ({ cancel: () => {} }) }
    const reader = await openReader({ store }, { ...MANUAL, lease: 60_000, clock: stopped })
    await clock.advance(66_000)
    await db.put('k', '2')
    await db.compact()
    await clock.drive(collectGarbage({ store }, { graceMs: 0, clock }))
    expect(await outcomeOf(reader.get('k'))).toBe('UNAVAILABLE')
    await reader.refresh()
    expect(await textOf(reader.get('k'))).toBe('2')
    await reader.close()
    await clock.drive(db.close())
  })

  test('pitfall 10: wall clocks an hour apart change nothing about a lease', async () => {
    for (const skewMs of [-3_600_000, 3_600_000]) {
      const clock = new SimulatedClock()
      const { store, db } = await subject(clock)
      const skewed = { ...clockOf(clock), nowMs: () => clock.nowMs() + skewMs }
      const reader = await openReader({ store }, { ...MANUAL, lease: 60_000, clock: skewed })
      await clock.advance(50_000)
      await db.put('k', '2')
      await db.compact()
      await clock.drive(collectGarbage({ store }, { graceMs: 0, clock: skewed }))
      expect(await textOf(reader.get('k'))).toBe('1')
      await reader.close()
      await clock.drive(db.close())
    }
  })
})

describe('without a lease', () => {
  test('nothing is written, and a collected file leads to the newest state', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 100))
    await db.flush()
    const readOnly = new ReadOnlyStore(store)
    const options = { ...MANUAL, lease: false, blockCacheSizeBytes: 0 }
    const readers = await Promise.all([0, 1, 2].map(() => openReader({ store: readOnly }, options)))
    await putAll(db, numbered(0, 100).map(([key]) => [key, 'new']))
    await db.compact()
    await collectGarbage({ store }, { graceMs: 0 })
    const [first, second, third] = readers as [DbReader, DbReader, DbReader]
    expect(await textOf(first.get('key-000003'))).toBe('new')
    expect((await second.getMany(['key-000003', 'key-000004'])).map((value) => value?.length)).toEqual([3, 3])
    expect(Object.keys(await contents(third))).toHaveLength(100)
    for (const reader of readers) await reader.close()
    expect(readOnly.refused).toEqual([])
    await db.close()
  })

  test('a snapshot or a checkpoint whose files are gone is a clear error', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 100))
    await db.checkpoint({ name: 'x' })
    const options = { ...MANUAL, lease: false }
    const following = await openReader({ store }, options)
    const frozen = await openReader({ store }, { ...options, checkpoint: 'x' })
    const snapshot = following.snapshot()
    await putAll(db, numbered(0, 100).map(([key]) => [key, 'new']))
    await db.compact()
    await db.deleteCheckpoint('x')
    await collectGarbage({ store }, { graceMs: 0 })
    await expect(following.get('key-000003', { snapshot })).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /without a lease/ })
    await expect(frozen.get('key-000003')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /without a lease/ })
    snapshot.close()
    for (const reader of [following, frozen]) await reader.close()
    await db.close()
  })
})

function clockOf(clock: SimulatedClock): Pick<SimulatedClock, 'nowMs' | 'monotonicMs' | 'setTimer' | 'yieldNow'> {
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    setTimer: (delayMs, fire) => clock.setTimer(delayMs, fire),
    yieldNow: () => clock.yieldNow(),
  }
}
