// Invariant: whatever the order in which two openings of one database meet in the store, one of them ends as the owner
// and the other is FENCED, at the latest when it wants something durable; nothing that was there is lost.
import { MemoryObjectStore } from '@moraine/object-store'
import { CallScheduler, type Choose, everySchedule, SimulatedClock } from '@moraine/testing'
import { isMoraineError, SeededRandom } from '@moraine/base'
import { type Db, open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET } from './subject.ts'

const OLD = { old: 'kept' }

async function existingDatabase(): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore()
  const db = await open({ store }, QUIET)
  await db.put('old', 'kept')
  await db.close()
  return store
}

interface Opening {
  readonly who: string
  db: Db | undefined
  code: string | undefined
}

/** Opens a database twice, its store calls in the order that `choose` says; then both try to write. */
async function openTwice(store: MemoryObjectStore, choose: Choose, options: OpenOptions = {}): Promise<Opening[]> {
  const scheduler = new CallScheduler(store)
  const openings = ['a', 'b'].map((who): Opening => {
    const opening: Opening = { who, db: undefined, code: undefined }
    open({ store: scheduler.storeFor(who) }, { ...QUIET, ...options, clock: new SimulatedClock() }).then(
      (db) => {
        opening.db = db
        opening.code = 'ok'
      },
      (error: unknown) => {
        opening.code = isMoraineError(error) ? error.code : String(error)
      },
    )
    return opening
  })
  for (;;) {
    const waiting = await scheduler.waiting()
    if (waiting.length === 0) break
    scheduler.step(waiting.length === 1 ? 0 : choose(waiting.length))
  }
  scheduler.release()
  return openings
}

async function oneOwnerIsLeft(store: MemoryObjectStore, openings: readonly Opening[], old: object): Promise<void> {
  expect(openings.map(({ code }) => code)).toContain('ok')
  for (const { code } of openings) expect(['ok', 'FENCED']).toContain(code)
  const written: Record<string, string> = {}
  for (const { who, db } of openings) {
    if (db === undefined) continue
    const code = await outcomeOf(db.put(who, who, { durability: 'store' }))
    if (code === 'ok') written[who] = who
    else expect(code).toBe('FENCED')
  }
  expect(Object.keys(written)).toHaveLength(1)
  for (const { db } of openings) await db?.close()
  const db = await open({ store }, QUIET)
  expect(await contents(db)).toEqual({ ...old, ...written })
  await db.close()
}

describe('two openings at once', () => {
  test('pitfall 2: all interleavings of two opens of a database', async () => {
    const runs = await everySchedule(async (choose) => {
      const store = await existingDatabase()
      await oneOwnerIsLeft(store, await openTwice(store, choose), OLD)
    }, 5_000)
    expect(runs).toBeGreaterThan(50)
  })

  test('pitfall 2: interleavings of two opens that create the database, by seed', async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new SeededRandom(seed)
      const store = new MemoryObjectStore()
      try {
        await oneOwnerIsLeft(store, await openTwice(store, (count) => random.below(count)), {})
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  })

  test('takeover fail: of two openings of a released database one wins, the other never fences it', async () => {
    await everySchedule(async (choose) => {
      const store = await existingDatabase()
      const openings = await openTwice(store, choose, { takeover: 'fail' })
      expect(openings.map(({ code }) => code).sort()).toEqual(['CONFLICT', 'ok'])
      const owner = openings.find(({ db }) => db !== undefined)?.db as Db
      await owner.put('new', 'kept', { durability: 'store' })
      await owner.close()
    }, 5_000)
  })
})
