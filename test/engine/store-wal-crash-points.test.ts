// Invariant: a process with its log in the store may die at any of its store calls, its disk with it: whoever opens the
// database next, anywhere, finds every acknowledged write, and nothing that was never written.
import { MemoryObjectStore } from '@moraine/object-store'
import { type Cut, CutObjectStore } from '@moraine/testing'
import { type Db, open, type OpenOptions } from 'moraine'
import { afterEach, describe, expect, test } from 'vitest'
import { contents, numbered, QUIET } from './subject.ts'

const LOGGED: OpenOptions = { ...QUIET, wal: { kind: 'object-store', flushIntervalMs: 0, flushSizeBytes: 1024, maxInFlight: 3 } }

/** Writes of one key each; every value is written once. */
class Ledger {
  readonly written = new Map<string, string>()
  readonly acknowledged = new Set<string>()

  async put(db: Db, entries: readonly [string, string][]): Promise<void> {
    await Promise.all(
      entries.map(async ([key, value]) => {
        this.written.set(key, value)
        await db.put(key, value)
        this.acknowledged.add(key)
      }),
    )
  }

  check(found: Record<string, string>, when: string): void {
    for (const [key, value] of Object.entries(found)) {
      if (this.written.get(key) !== value) throw new Error(`${when}: ${key} has a value that was never written`)
    }
    for (const key of this.acknowledged) if (found[key] === undefined) throw new Error(`${when}: ${key} was acknowledged and is gone`)
  }
}

const graves: { readonly store: CutObjectStore; readonly opening: Promise<Db> }[] = []
afterEach(async () => {
  for (const { store, opening } of graves.splice(0)) {
    store.bury()
    await opening.then((db) => db.close()).catch(() => {})
  }
})

async function live(store: MemoryObjectStore, life: (db: Db) => Promise<void>, cut?: Cut): Promise<boolean> {
  const mortal = new CutObjectStore(store, cut)
  const opening = open({ store: mortal }, LOGGED)
  graves.push({ store: mortal, opening })
  const living = opening.then(life)
  living.catch(() => {})
  return await Promise.race([living.then(() => true), mortal.reached.then(() => false)])
}

/** Segments of several owners, some of them ended by fences, one flushed in part. */
async function history(store: MemoryObjectStore, ledger: Ledger): Promise<void> {
  await live(store, (db) => ledger.put(db, numbered(0, 12, 300)))
  await live(store, async (db) => {
    await ledger.put(db, numbered(100, 106, 300))
    await db.flush()
    await ledger.put(db, numbered(110, 116, 300))
  })
}

const LIVES: Record<string, (db: Db, ledger: Ledger) => Promise<void>> = {
  'takeover and writes': async (db, ledger) => {
    await ledger.put(db, numbered(200, 210, 300))
    await ledger.put(db, numbered(210, 212))
  },
  'writes around flushes': async (db, ledger) => {
    for (let round = 0; round < 3; round++) {
      const writes = ledger.put(db, numbered(200 + round * 10, 208 + round * 10, 300))
      const flush = db.flush()
      for (const call of [writes, flush]) call.catch(() => {})
      await ledger.put(db, numbered(208 + round * 10, 210 + round * 10, 300))
      await Promise.all([writes, flush])
    }
  },
  'many segments, and their deletion': async (db, ledger) => {
    for (let round = 0; round < 70; round++) await ledger.put(db, numbered(200 + round, 201 + round))
    await db.flush()
    await ledger.put(db, numbered(300, 303))
  },
  'a clean close': async (db, ledger) => {
    await ledger.put(db, numbered(200, 205, 300))
    await db.close()
  },
}

describe('dying at any store call', () => {
  for (const [name, life] of Object.entries(LIVES)) {
    for (const when of ['before', 'after'] as const) {
      test(`${name}, ${when} the call`, async () => {
        let cuts = 0
        for (let call = 1; ; call++) {
          const store = new MemoryObjectStore()
          const ledger = new Ledger()
          await history(store, ledger)
          const ended = await live(store, (db) => life(db, ledger), { call, when })
          const db = await open({ store }, LOGGED)
          ledger.check(await contents(db), `cut ${when} call ${call}`)
          await db.close()
          if (ended) break
          cuts++
          // In the deletion of many segments the calls repeat themselves.
          if (name.startsWith('many') && call > 12 && call < 75) call += 8
        }
        expect(cuts).toBeGreaterThan(8)
      })
    }
  }

  test('opening after opening dies at each of its calls in turn: nothing is lost by trying', async () => {
    const store = new MemoryObjectStore()
    const ledger = new Ledger()
    await history(store, ledger)
    for (let call = 1; call <= 24; call++) {
      expect(await live(store, () => Promise.resolve(), { call, when: call % 2 === 0 ? 'before' : 'after' })).toBe(false)
    }
    const db = await open({ store }, LOGGED)
    ledger.check(await contents(db), 'after 24 openings')
    expect(Object.keys(await contents(db))).toHaveLength(24)
    await db.close()
    const { objects } = await store.list('wal/')
    expect(objects.filter(({ sizeBytes }) => sizeBytes !== 192)).toEqual([])
  })
})
