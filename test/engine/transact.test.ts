// Invariant: `transact` gives its work's result once all of it is committed, runs it again after a CONFLICT and never after
// anything else, and leaves no transaction open.
import { MoraineError, SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type Db, open, type Transaction } from 'moraine'
import { expect, test } from 'vitest'
import { contents, outcomeOf, QUIET, textOf } from './subject.ts'

async function openSimulated(seed = 1): Promise<{ db: Db; clock: SimulatedClock }> {
  const clock = new SimulatedClock()
  const db = await open({ store: new MemoryObjectStore({ clock }) }, { ...QUIET, clock, random: new SeededRandom(seed) })
  return { db, clock }
}

async function increment(tx: Transaction, key: string): Promise<number> {
  const next = Number((await textOf(tx.get(key))) ?? '0') + 1
  await tx.put(key, String(next))
  return next
}

test('fifty that increment one counter at the same time lose none', async () => {
  for (const isolation of ['snapshot', 'serializable'] as const) {
    const { db, clock } = await openSimulated()
    const results = await clock.drive(
      Promise.all(Array.from({ length: 50 }, () => db.transact((tx) => increment(tx, 'counter'), { isolation, attempts: 1000 }))),
    )
    expect(results.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(await contents(db)).toEqual({ counter: '50' })
    const { transactions } = db.stats()
    expect(transactions).toMatchObject({ open: 0, committed: 50, windowBytes: 0 })
    expect(transactions.conflicts).toBeGreaterThan(0)
    await clock.drive(db.close())
  }
})

test('it runs the work again until it commits, on the new state each time, with growing random pauses', async () => {
  const { db, clock } = await openSimulated()
  const seen: (string | undefined)[] = []
  const timesMs: number[] = []
  const outcome = outcomeOf(
    db.transact(async (tx) => {
      seen.push(await textOf(tx.get('x')))
      timesMs.push(clock.monotonicMs())
      await db.put('x', String(seen.length))
      await tx.put('x', 'mine')
    }),
  )
  expect(await clock.drive(outcome)).toBe('CONFLICT')
  expect(seen).toEqual([undefined, '1', '2', '3', '4', '5', '6', '7', '8', '9'])
  const pauses = timesMs.slice(1).map((ms, i) => ms - (timesMs[i] as number))
  for (const [i, pause] of pauses.entries()) expect(pause).toBeLessThanOrEqual(Math.min(100, 2 ** i))
  expect(new Set(pauses).size).toBe(pauses.length)
  expect(db.stats().transactions).toEqual({ open: 0, committed: 0, conflicts: 10, windowBytes: 0 })
  const calls: number[] = []
  expect(
    await outcomeOf(
      db.transact(
        async (tx) => {
          calls.push(1)
          await db.put('x', 'again')
          await tx.put('x', 'mine')
        },
        { attempts: 1 },
      ),
    ),
  ).toBe('CONFLICT')
  expect(calls).toHaveLength(1)
  await clock.drive(db.close())
})

test('any other error rolls back and passes through as it is', async () => {
  const { db, clock } = await openSimulated()
  const mine = new Error('mine')
  let runs = 0
  const failing = (error: unknown): Promise<unknown> =>
    db.transact(async (tx) => {
      runs++
      await tx.put('x', '1')
      throw error
    })
  await expect(failing(mine)).rejects.toBe(mine)
  await expect(failing(new MoraineError('UNAVAILABLE', 'away'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(runs).toBe(2)
  expect(await contents(db)).toEqual({})
  expect(db.stats()).toMatchObject({ transactions: { open: 0, windowBytes: 0 }, snapshots: 0 })
  await clock.drive(db.close())
})

test('the work may commit or roll back itself', async () => {
  const { db, clock } = await openSimulated()
  const committed = await db.transact(async (tx) => {
    await tx.put('a', '1')
    await tx.commit()
    return 'done'
  })
  const given = await db.transact(async (tx) => {
    await tx.put('b', '1')
    await tx.rollback()
    return 'given up'
  })
  expect([committed, given, await contents(db)]).toEqual(['done', 'given up', { a: '1' }])
  await clock.drive(db.close())
})

test('an abort ends it between two runs, and close does too', async () => {
  for (const end of ['abort', 'close'] as const) {
    const { db, clock } = await openSimulated()
    const abort = new AbortController()
    let runs = 0
    const outcome = outcomeOf(
      db.transact(
        async (tx) => {
          if (++runs === 3) {
            if (end === 'abort') abort.abort()
            else void db.close()
          } else await db.put('x', String(runs))
          await tx.put('x', 'mine')
        },
        { signal: abort.signal, attempts: 100 },
      ),
    )
    expect(await clock.drive(outcome)).toBe(end === 'abort' ? 'ABORTED' : 'CLOSED')
    expect(runs).toBe(3)
    await clock.drive(db.close())
  }
})

test('bad input is INVALID and the work does not run', async () => {
  const { db, clock } = await openSimulated()
  let runs = 0
  const work = async (): Promise<void> => void runs++
  for (const options of [{ attempts: 0 }, { attempts: 1.5 }, { isolation: 'none' }, { retries: 3 }, { durability: 'disk' }, { signal: 1 }]) {
    expect(await outcomeOf(db.transact(work, options as never))).toBe('INVALID')
  }
  expect(await outcomeOf(db.transact('work' as never))).toBe('INVALID')
  expect(await outcomeOf(db.transact(work, { signal: AbortSignal.abort() }))).toBe('ABORTED')
  expect(runs).toBe(0)
  await clock.drive(db.close())
})
