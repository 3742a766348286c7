// Invariant: a transaction sees its snapshot and its own writes, and is applied whole or not at all; a commit that waits for
// its turn is either removed before it is applied or cannot be removed any more; whatever ends the database or the
// transaction wakes everybody and leaves nothing behind.
import { Deferred, type MoraineError, SeededRandom, utf8Decode, utf8Encode } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type StoreFault } from '@moraine/object-store'
import { scanState, SimulatedClock } from '@moraine/testing'
import { type Db, open, type OpenOptions, type ScanOptions, type Transaction } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET, SMALL, textOf } from './subject.ts'

const HALF_MEMTABLE = 'x'.repeat(150_000)

function openMemory(options: OpenOptions = QUIET): Promise<Db> {
  return open({ store: new MemoryObjectStore() }, options)
}

/** What a database must report when no transaction is left. */
const NOTHING_OPEN = { transactions: { open: 0, windowBytes: 0 }, snapshots: 0 }

describe('reads of a transaction', () => {
  for (let seed = 1; seed <= 40; seed++) {
    test(`its own writes over its snapshot, as a sorted map has them, seed ${seed}`, async () => {
      const random = new SeededRandom(seed)
      const key = (): string => `k${String(random.below(60)).padStart(2, '0')}`
      const db = await openMemory({ ...SMALL, blockCacheSizeBytes: 0 })
      const model = new Map<string, string>()
      for (let i = 0; i < 40; i++) {
        const [name, value] = [key(), random.chance(0.2) ? undefined : `old ${i}`]
        if (value === undefined) model.delete(name)
        else model.set(name, value)
        await (value === undefined ? db.delete(name) : db.put(name, value))
        if (random.chance(0.1)) await db.flush()
      }
      const tx = db.transaction({ isolation: random.chance(0.5) ? 'snapshot' : 'serializable' })
      // Not to be seen by the transaction.
      await db.put('later', 'x')
      await db.delete(key())
      if (random.chance(0.5)) await db.flush()
      for (let step = 0; step < 60; step++) {
        const dice = random.next()
        if (dice < 0.3) {
          const name = key()
          model.set(name, `own ${step}`)
          await tx.put(name, `own ${step}`)
        } else if (dice < 0.4) {
          const name = key()
          model.delete(name)
          await tx.delete(name)
        } else if (dice < 0.55) {
          const name = key()
          expect(await textOf(tx.get(name))).toBe(model.get(name))
        } else if (dice < 0.65) {
          const names = Array.from({ length: random.below(6) }, key)
          const values = await tx.getMany(names)
          expect(values.map((value) => (value === undefined ? undefined : utf8Decode(value)))).toEqual(names.map((name) => model.get(name)))
        } else {
          const bounds: { -readonly [Name in 'gt' | 'gte' | 'lt' | 'lte' | 'prefix']?: string } & { reverse?: boolean; limit?: number } = {}
          if (random.chance(0.3)) bounds[random.chance(0.5) ? 'gt' : 'gte'] = key()
          if (random.chance(0.3)) bounds[random.chance(0.5) ? 'lt' : 'lte'] = key()
          if (random.chance(0.2)) bounds.prefix = key().slice(0, random.below(3))
          if (random.chance(0.5)) bounds.reverse = true
          if (random.chance(0.3)) bounds.limit = random.below(20)
          expect(await scanOf(tx, bounds, random.chance(0.5)), JSON.stringify(bounds)).toEqual(scanState(model, bounds))
        }
      }
      await tx.rollback()
      expect(db.stats()).toMatchObject(NOTHING_OPEN)
      await db.close()
    })
  }

  test('a scan gives what was there when it began, whatever the transaction writes meanwhile', async () => {
    const db = await openMemory()
    await db.put('b', '1')
    const tx = db.transaction()
    await tx.put('a', '1')
    const scan = tx.scan()
    await tx.put('a', '2')
    await tx.put('c', '2')
    await tx.delete('b')
    const found: string[] = []
    for await (const [key, value] of scan) found.push(utf8Decode(key) + utf8Decode(value))
    expect(found).toEqual(['a1', 'b1'])
    await tx.rollback()
    await db.close()
  })

  test('bytes go in and come out as copies', async () => {
    const db = await openMemory()
    const tx = db.transaction()
    const [key, value] = [utf8Encode('key'), utf8Encode('value')]
    await tx.put(key, value)
    key.fill(0)
    value.fill(0)
    const first = (await tx.get('key')) as Uint8Array
    first.fill(0)
    for await (const [, scanned] of tx.scan()) scanned.fill(0)
    for (const many of await tx.getMany(['key'])) many?.fill(0)
    expect(await textOf(tx.get('key'))).toBe('value')
    await tx.commit()
    expect(await contents(db)).toEqual({ key: 'value' })
    await db.close()
  })
})

async function scanOf(tx: Transaction, options: ScanOptions, inBatches: boolean): Promise<[string, string][]> {
  const found: [string, string][] = []
  if (inBatches) {
    for await (const batch of tx.scanBatches(options)) {
      expect(batch.length).toBeGreaterThan(0)
      for (const [key, value] of batch) found.push([utf8Decode(key), utf8Decode(value)])
    }
  } else for await (const [key, value] of tx.scan(options)) found.push([utf8Decode(key), utf8Decode(value)])
  return found
}

describe('the life of a transaction', () => {
  test('a commit applies everything at once, in one batch of the log', async () => {
    const db = await openMemory()
    const tx = db.transaction()
    for (let i = 0; i < 10; i++) await tx.put(`k${i}`, 'first')
    for (let i = 0; i < 5; i++) await tx.put(`k${i}`, 'second')
    await tx.delete('k9')
    expect(await contents(db)).toEqual({})
    await tx.commit()
    expect(db.stats()).toMatchObject({ lastSequence: 10, transactions: { open: 0, committed: 1, conflicts: 0, windowBytes: 0 } })
    expect(Object.keys(await contents(db))).toHaveLength(9)
    expect(await textOf(db.get('k0'))).toBe('second')
    await db.close()
  })

  test('every call after the end is CLOSED and says what the end was', async () => {
    const db = await openMemory()
    await db.put('x', '1')
    const committed = db.transaction()
    await committed.put('y', '1')
    await committed.commit()
    const rolledBack = db.transaction()
    await rolledBack.put('y', '2')
    await rolledBack.rollback()
    const failed = db.transaction()
    await db.put('y', '3')
    await failed.put('y', '4')
    expect(await outcomeOf(failed.commit())).toBe('CONFLICT')
    for (const [tx, state] of [[committed, 'committed'], [rolledBack, 'rolled-back'], [failed, 'failed']] as const) {
      expect(tx.state).toBe(state)
      const calls: Record<string, () => Promise<unknown>> = {
        get: () => tx.get('x'),
        getMany: () => tx.getMany(['x']),
        scan: async () => await tx.scan().next(),
        scanBatches: async () => await tx.scanBatches().next(),
        put: () => tx.put('x', '2'),
        delete: () => tx.delete('x'),
        commit: () => tx.commit(),
        rollback: () => tx.rollback(),
      }
      for (const [call, run] of Object.entries(calls)) {
        await expect(run(), `${call} once ${state}`).rejects.toMatchObject({ code: 'CLOSED', detail: { state } })
      }
      await tx[Symbol.asyncDispose]()
      expect(tx.state).toBe(state)
    }
    expect(await contents(db)).toEqual({ x: '1', y: '3' })
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await db.close()
  })

  test('a conflict names the key or the range', async () => {
    const db = await openMemory()
    const [writer, reader, scanner] = [db.transaction(), db.transaction({ isolation: 'serializable' }), db.transaction({ isolation: 'serializable' })]
    await writer.put(new Uint8Array([0, 97]), '1')
    await reader.get(new Uint8Array([0, 97]))
    for await (const _ of scanner.scan({ lt: 'b' }));
    await db.put(new Uint8Array([0, 97]), '2')
    const key = '\\x00a'
    await expect(writer.commit()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(`'${key}'`) as string, detail: { key, began: 0 } })
    await expect(reader.commit()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('has read') as string, detail: { key } })
    const range = "from the first key to before 'b'"
    await expect(scanner.commit()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(range) as string, detail: { key, range } })
    expect(db.stats().transactions).toEqual({ open: 0, committed: 0, conflicts: 3, windowBytes: 0 })
    await db.close()
  })

  test('`await using` rolls back what was not committed', async () => {
    const db = await openMemory()
    {
      await using tx = db.transaction()
      await tx.put('a', '1')
    }
    {
      await using tx = db.transaction()
      await tx.put('b', '1')
      await tx.commit()
    }
    expect(await contents(db)).toEqual({ b: '1' })
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await db.close()
  })

  test('an end closes the scans that were left open; they hold nothing and say CLOSED', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, '1')
    await db.flush()
    for (const end of ['commit', 'rollback'] as const) {
      const tx = db.transaction({ isolation: 'serializable' })
      const [entries, batches] = [tx.scan(), tx.scanBatches()]
      await entries.next()
      await batches.next()
      const underWay = entries.next()
      const outcome = outcomeOf(underWay)
      await tx[end]()
      expect(await outcome).toBe('CLOSED')
      // These were read ahead already, and still are not given.
      expect(await outcomeOf(entries.next())).toBe('CLOSED')
      expect(await outcomeOf(batches.next())).toBe('CLOSED')
      if (end === 'commit') expect(await entries.return()).toEqual({ done: true, value: undefined })
    }
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    // A scan that still held its view would keep the table that the compaction replaces.
    await db.put('k0', '2')
    await db.compact()
    await db.close()
    expect((await store.list('sst/')).objects).toHaveLength(1)
  })

  test('what only reads writes nothing: no sequence number, no conflict at snapshot isolation', async () => {
    const db = await openMemory()
    await db.put('x', '1')
    for (const [isolation, outcome] of [['snapshot', 'ok'], ['serializable', 'CONFLICT']] as const) {
      const tx = db.transaction({ isolation })
      await tx.get('x')
      await db.put('x', '2')
      const { lastSequence } = db.stats()
      expect(await outcomeOf(tx.commit())).toBe(outcome)
      expect(db.stats().lastSequence).toBe(lastSequence)
    }
    const unread = db.transaction({ isolation: 'serializable' })
    await db.put('x', '3')
    expect(await outcomeOf(unread.commit())).toBe('ok')
    await db.close()
  })

  test('bad input is INVALID, and the transaction goes on', async () => {
    const db = await openMemory()
    for (const options of [{ isolation: 'dirty' }, { level: 'snapshot' }, null, 7]) {
      expect(() => db.transaction(options as never)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    }
    const other = db.snapshot()
    const tx = db.transaction()
    const bad: (() => Promise<unknown>)[] = [
      () => tx.put(7 as never, 'x'),
      () => tx.put('x'.repeat(65_536), 'x'),
      () => tx.put('x', undefined as never),
      () => tx.delete(null as never),
      () => tx.get(undefined as never),
      () => tx.get('x', { snapshot: other } as never),
      () => tx.getMany('x' as never),
      () => tx.getMany(['x', 7 as never]),
      () => tx.commit({ ifAbsent: true } as never),
      () => tx.commit({ durability: 'disk' } as never),
      async () => tx.scan({ snapshot: other } as never),
      async () => tx.scanBatches({ durable: true } as never),
      async () => tx.scan({ limit: -1 }),
    ]
    for (const call of bad) expect(await outcomeOf(call())).toBe('INVALID')
    expect(await outcomeOf(tx.commit({ signal: AbortSignal.abort() }))).toBe('ABORTED')
    expect(tx.state).toBe('open')
    await tx.put('x', '1')
    await tx.commit()
    other.close()
    expect(await contents(db)).toEqual({ x: '1' })
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await db.close()
  })

  test('a transaction that is open while too much is written ends with CONFLICT, a younger one does not', async () => {
    const db = await openMemory({ ...QUIET, conflictWindowSizeBytes: 64 * 1024 })
    const tx = db.transaction()
    await tx.put('mine', '1')
    for (let i = 0; i < 500; i++) await db.put(`other ${i}`, '1')
    const younger = db.transaction()
    await younger.put('yours', '1')
    for (let i = 0; i < 500; i++) await db.put(`another ${i}`, '1')
    expect(db.stats().transactions.windowBytes).toBeLessThanOrEqual(64 * 1024)
    await expect(tx.commit()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('conflictWindowSizeBytes') as string })
    expect(await outcomeOf(younger.commit())).toBe('ok')
    const reads = db.transaction()
    for (let i = 0; i < 1000; i++) await db.put(`other ${i}`, '2')
    expect(await textOf(reads.get('other 1'))).toBe('1')
    expect(await outcomeOf(reads.commit())).toBe('ok')
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await db.close()
  })
})

/** A database whose puts fail until `heal`, on a clock of its own. */
async function openSick(options: OpenOptions = {}): Promise<{ db: Db; inner: MemoryObjectStore; clock: SimulatedClock; sicken: () => void; heal: () => void }> {
  const clock = new SimulatedClock()
  const inner = new MemoryObjectStore({ clock })
  const store = new FaultyObjectStore(inner, () => undefined, { clock })
  const db = await open({ store }, { ...QUIET, maxSealedMemtables: 1, clock, ...options })
  return {
    db,
    inner,
    clock,
    sicken: () => void (store.plan = (operation): StoreFault | undefined => (operation === 'put' ? { kind: 'fail' } : undefined)),
    heal: () => void (store.plan = () => undefined),
  }
}

/** Writes until one is held back. */
function stall(db: Db): Promise<string>[] {
  const outcomes: Promise<string>[] = []
  while (db.stats().writes.held < 1) outcomes.push(outcomeOf(db.put(`stall-${outcomes.length}`, HALF_MEMTABLE)))
  return outcomes
}

test('closing the database forgets what open transactions might have asked for', async () => {
  const db = await openMemory()
  const tx = db.transaction()
  await db.put('x', '1')
  expect(db.stats().transactions.windowBytes).toBeGreaterThan(0)
  await db.close()
  expect(db.stats().transactions).toEqual({ open: 1, committed: 0, conflicts: 0, windowBytes: 0 })
  await tx.rollback()
  expect(db.stats().transactions.open).toBe(0)
})

describe('a commit behind writes that are held back', () => {
  test('pitfall 21: it is checked in its turn, against the writes before it in the queue', async () => {
    const { db, clock, sicken, heal } = await openSick()
    await db.put('x', '0')
    const [loser, winner] = [db.transaction(), db.transaction()]
    sicken()
    const outcomes = stall(db)
    const write = outcomeOf(db.put('x', '1'))
    await loser.put('x', '2')
    await winner.put('y', '2')
    const commits = [outcomeOf(loser.commit()), outcomeOf(winner.commit())]
    const late = db.transaction({ isolation: 'serializable' })
    expect([await textOf(late.get('x')), await textOf(late.get('y')), loser.state]).toEqual(['0', undefined, 'committing'])
    heal()
    expect(await clock.drive(Promise.all([write, ...commits, ...outcomes]))).toEqual(['ok', 'CONFLICT', 'ok', ...outcomes.map(() => 'ok')])
    expect([await textOf(db.get('x')), await textOf(db.get('y'))]).toEqual(['1', '2'])
    expect(await outcomeOf(late.commit())).toBe('CONFLICT')
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await clock.drive(db.close())
  })

  test('pitfall 21: an abort before its turn removes it whole; the others stay in order', async () => {
    const { db, clock, sicken, heal } = await openSick()
    const [first, second] = [db.transaction(), db.transaction()]
    for (const key of ['a', 'b', 'c']) {
      await first.put(key, 'aborted')
      await second.put(key, 'stays')
    }
    sicken()
    const outcomes = stall(db)
    const abort = new AbortController()
    const aborted = first.commit({ signal: abort.signal })
    const stays = outcomeOf(second.commit())
    abort.abort()
    const error = await aborted.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ABORTED' })
    expect((error as MoraineError).detail['taken']).toBeUndefined()
    expect([first.state, db.stats().transactions.open]).toEqual(['failed', 1])
    heal()
    await clock.drive(Promise.all(outcomes))
    // What was aborted conflicts with nobody.
    expect(await clock.drive(stays)).toBe('ok')
    expect(await contents(db, { lt: 's' })).toEqual({ a: 'stays', b: 'stays', c: 'stays' })
    expect(db.stats()).toMatchObject(NOTHING_OPEN)
    await clock.drive(db.close())
  })

  test('pitfall 21: an abort once it is applied ends the wait only, and a rollback does nothing', async () => {
    const gate = new Deferred<void>()
    let shut = false
    const store = new FaultyObjectStore(
      new MemoryObjectStore(),
      (operation, key) => (shut && operation === 'put' && key.startsWith('wal/') ? { kind: 'delay', until: gate.promise } : undefined),
      { clock: new SimulatedClock() },
    )
    const db = await open({ store }, { ...QUIET, wal: 'object-store' })
    const tx = db.transaction()
    await tx.put('a', '1')
    await tx.put('b', '1')
    shut = true
    const abort = new AbortController()
    const commit = tx.commit({ signal: abort.signal })
    expect(await contents(db)).toEqual({ a: '1', b: '1' })
    abort.abort()
    await expect(commit).rejects.toMatchObject({ code: 'ABORTED', detail: { taken: true } })
    expect(await outcomeOf(tx.rollback())).toBe('CLOSED')
    await tx[Symbol.asyncDispose]()
    expect(tx.state).toBe('committing')
    gate.resolve()
    await db.put('after', '1')
    expect(tx.state).toBe('committed')
    await db.delete('after')
    expect(await contents(db)).toEqual({ a: '1', b: '1' })
    await db.close()
  })

  for (const end of ['close', 'fence', 'restore'] as const) {
    test(`pitfall 22: ${end} wakes it, with nothing applied, and ends the open transactions`, async () => {
      const { db, inner, clock, sicken, heal } = await openSick()
      await clock.drive(db.checkpoint({ name: 'before' }))
      const [queued, conditional, idle] = [db.transaction(), db.transaction({ isolation: 'serializable' }), db.transaction()]
      await queued.put('a', '1')
      await conditional.get('a')
      await conditional.put('b', '1')
      await idle.put('c', '1')
      sicken()
      stall(db)
      const woken = [outcomeOf(queued.commit()), outcomeOf(conditional.commit()), outcomeOf(db.put('d', '1', { ifAbsent: true }))]
      const code = end === 'fence' ? 'FENCED' : 'CLOSED'
      let next: Db | undefined
      let ending: Promise<unknown> | undefined
      if (end === 'fence') next = await open({ store: inner }, { ...QUIET, clock })
      else ending = end === 'close' ? db.close() : db.restore('before')
      await clock.advance(100)
      heal()
      expect(await clock.drive(Promise.all(woken))).toEqual([code, code, code])
      if (ending !== undefined) await clock.drive(ending)
      expect(await outcomeOf(idle.get('c'))).toBe(code)
      expect(await outcomeOf(idle.commit())).toBe(code)
      expect(await outcomeOf(idle.rollback())).toBe('ok')
      if (end === 'restore') {
        expect(await contents(db)).toEqual({})
        expect(db.stats()).toMatchObject(NOTHING_OPEN)
        const fresh = db.transaction()
        await fresh.put('e', '1')
        await fresh.commit()
        expect(await contents(db)).toEqual({ e: '1' })
      }
      await clock.drive(db.close().catch(() => {}))
      next ??= await open({ store: inner }, { ...QUIET, clock })
      expect(Object.keys(await contents(next)).filter((key) => /^[a-d]$/.test(key))).toEqual([])
      await clock.drive(next.close())
    })
  }
})
