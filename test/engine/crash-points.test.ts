// Invariant: a process may die before or after any of its store calls, of opening, flushing, compacting or closing: the
// next opening with the same log finds every acknowledged write, and nothing that was never written.
import { isMoraineError } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { type Cut, CutObjectStore } from '@moraine/testing'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, numbered, QUIET, SMALL } from './subject.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-crash-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Everything that was ever written, and how much of it was acknowledged. */
class Ledger {
  readonly #values = new Map<string, string[]>()
  readonly #acknowledged = new Map<string, number>()

  async put(db: Db, entries: readonly [string, string][]): Promise<void> {
    await Promise.all(
      entries.map(async ([key, value]) => {
        const values = this.#values.get(key) ?? []
        this.#values.set(key, values)
        const at = values.push(value) - 1
        await db.put(key, value)
        this.#acknowledged.set(key, Math.max(this.#acknowledged.get(key) ?? 0, at))
      }),
    )
  }

  /** Each acknowledged key has its last acknowledged value or one written after it; nothing was made up. */
  check(found: Record<string, string>, when: string): void {
    for (const [key, value] of Object.entries(found)) {
      const at = this.#values.get(key)?.lastIndexOf(value) ?? -1
      if (at < 0) throw new Error(`${when}: ${key} has a value that was never written: ${value}`)
      if (at < (this.#acknowledged.get(key) ?? 0)) throw new Error(`${when}: ${key} has fallen back to ${value}`)
    }
    for (const key of this.#acknowledged.keys()) {
      if (found[key] === undefined) throw new Error(`${when}: ${key} was acknowledged and is gone`)
    }
  }
}

/** What one life of the database does. */
type Life = (db: Db, ledger: Ledger) => Promise<void>

/** What a process may be doing when it dies; `stride`: every so many calls are tried. */
const LIVES: Record<string, { readonly options: OpenOptions; readonly stride: number; readonly life: Life }> = {
  'unflushed writes, then gone': {
    options: QUIET,
    stride: 1,
    life: async (db, ledger) => {
      await ledger.put(db, numbered(0, 5))
    },
  },
  'flushes and a compaction': {
    options: QUIET,
    stride: 1,
    life: async (db, ledger) => {
      for (let round = 0; round < 3; round++) {
        await ledger.put(db, numbered(round * 3, round * 3 + 6, 30 + round))
        await db.flush()
      }
      await db.compact()
      await ledger.put(db, numbered(7, 12, 50))
    },
  },
  'background compaction and stalls': {
    options: { ...SMALL, level0StopTrigger: 3 },
    stride: 11,
    life: async (db, ledger) => {
      for (let round = 0; round < 4; round++) {
        await ledger.put(db, numbered(round * 5, round * 5 + 20, 3_000 + round))
        await ledger.put(db, numbered(100 + round * 40, 140 + round * 40, 2_000))
      }
      await db.flush()
    },
  },
  'a clean close': {
    options: QUIET,
    stride: 1,
    life: async (db, ledger) => {
      await ledger.put(db, numbered(0, 8, 40))
      await db.close()
    },
  },
}

/** Lives that were cut short, to be closed when the test has seen what comes after them. */
const graves: { readonly store: CutObjectStore; readonly opening: Promise<Db> }[] = []

afterEach(async () => {
  for (const { store, opening } of graves.splice(0)) {
    store.bury()
    await opening.then((db) => db.close()).catch(() => {})
  }
})

/** Opens on a store that dies at `cut`, and runs a life; `ended` when it got to its end. */
async function live(
  store: MemoryObjectStore,
  options: OpenOptions,
  life: (db: Db) => Promise<void>,
  cut?: Cut,
): Promise<{ ended: boolean }> {
  const mortal = new CutObjectStore(store, cut)
  const opening = open({ store: mortal }, options)
  graves.push({ store: mortal, opening })
  const living = opening.then(life)
  // What a process that is gone still rejects with is nobody's.
  living.catch(() => {})
  return { ended: await Promise.race([living.then(() => true), mortal.reached.then(() => false)]) }
}

/**
 * The next process. The cut-off one still runs in here, and may be deleting flushed segments of its log just now, which
 * a process that is gone would not do; the opening that met this is repeated.
 */
async function reopen(store: MemoryObjectStore, options: OpenOptions): Promise<Db> {
  for (;;) {
    try {
      return await open({ store }, options)
    } catch (error) {
      if (!isMoraineError(error, 'UNAVAILABLE') || error.detail['errno'] !== 'ENOENT') throw error
    }
  }
}

describe('pitfall 33: a process that dies at any of its store calls', () => {
  for (const [name, { options: lifeOptions, stride, life }] of Object.entries(LIVES)) {
    for (const when of ['before', 'after'] as const) {
      test(`${name}, ${when} the call`, async () => {
        let cuts = 0
        for (let call = 1; ; call += stride) {
          const store = new MemoryObjectStore()
          const options = { ...lifeOptions, ...localLog(join(folder, String(call))) }
          const ledger = new Ledger()
          // The database exists and its log holds something, as on any second day.
          await live(store, options, (db) => ledger.put(db, numbered(0, 10)))
          const { ended } = await live(store, options, (db) => life(db, ledger), { call, when })
          const db = await reopen(store, options)
          ledger.check(await contents(db), `cut ${when} call ${call}`)
          await db.close()
          if (ended) break
          cuts++
        }
        expect(cuts).toBeGreaterThan(3)
      })
    }
  }

  test('twice in a row, at every pair of calls of two openings, with new writes between', async () => {
    for (let firstCut = 1; firstCut <= 5; firstCut++) {
      for (let secondCut = 1; secondCut <= 5; secondCut++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, ...localLog(join(folder, `${firstCut}-${secondCut}`)) }
        const ledger = new Ledger()
        await live(store, options, (db) => ledger.put(db, numbered(0, 5)))
        await live(store, options, (db) => ledger.put(db, numbered(5, 10)), { call: firstCut, when: 'after' })
        await live(store, options, (db) => ledger.put(db, numbered(10, 15)), { call: secondCut, when: 'before' })
        const db = await reopen(store, options)
        ledger.check(await contents(db), `cuts ${firstCut}, ${secondCut}`)
        await db.close()
      }
    }
  })

  test('a batch is there whole or not at all, wherever the process dies', async () => {
    for (let call = 1; call < 12; call++) {
      const store = new MemoryObjectStore()
      const options = { ...QUIET, ...localLog(join(folder, `batch-${call}`)) }
      let acknowledged = 0
      const life = async (db: Db): Promise<void> => {
        for (let n = 0; n < 6; n++) {
          const batch = new WriteBatch()
          for (let i = 0; i < 50; i++) batch.put(`${n}/${i}`, String(n))
          await db.write(batch, { durability: n % 2 === 0 ? 'store' : 'log' })
          acknowledged++
        }
      }
      await live(store, options, life, { call, when: 'after' })
      const db = await reopen(store, options)
      for (let n = 0; n < 6; n++) {
        const size = Object.keys(await contents(db, { prefix: `${n}/` })).length
        expect([0, 50]).toContain(size)
        if (n < acknowledged) expect(size).toBe(50)
      }
      await db.close()
    }
  })

  test('a database without a log keeps a prefix of its history, and all that was acknowledged by the store', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let call = 1; ; call++) {
        const store = new MemoryObjectStore()
        let durable = -1
        const life = async (db: Db): Promise<void> => {
          for (let i = 0; i < 12; i++) {
            const asked = i % 3 === 2
            await db.put(`k${String(i).padStart(2, '0')}`, String(i), asked ? { durability: 'store' } : {})
            if (asked) durable = i
          }
        }
        const { ended } = await live(store, QUIET, life, { call, when })
        const db = await open({ store }, QUIET)
        const keys = Object.keys(await contents(db)).sort()
        expect(keys).toEqual(keys.map((_, i) => `k${String(i).padStart(2, '0')}`))
        expect(keys.length).toBeGreaterThan(durable)
        await db.close()
        if (ended) break
      }
    }
  })

  test('bucket and log as they stood at any moment of a life open as that life was then', async () => {
    const store = new MemoryObjectStore()
    const wal = join(folder, 'wal')
    const db = await open({ store }, { ...QUIET, ...localLog(wal) })
    for (let i = 0; i < 10; i++) {
      await db.put(`k${i}`, String(i))
      if (i === 4) await db.flush()
      const copied = new MemoryObjectStore()
      for (const { key } of (await store.list('')).objects) {
        await copied.put(key, (await store.get(key))?.bytes ?? new Uint8Array())
      }
      await cp(wal, join(folder, `copy-${i}`), { recursive: true })
      const copy = await open({ store: copied }, { ...QUIET, ...localLog(join(folder, `copy-${i}`)) })
      expect(Object.keys(await contents(copy))).toHaveLength(i + 1)
      await copy.close()
    }
    await db.close()
  })
})

describe('half-created databases', () => {
  for (const when of ['before', 'after'] as const) {
    test(`pitfall 29: an opening that dies ${when} any call of the creation is finished by the next one`, async () => {
      for (let call = 1; ; call++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, ...localLog(join(folder, `${when}-${call}`)) }
        const ledger = new Ledger()
        const { ended } = await live(store, options, (db) => ledger.put(db, [['a', '1']]), { call, when })
        const db = await reopen(store, options)
        await ledger.put(db, [['b', '2']])
        await db.flush()
        ledger.check(await contents(db), `cut ${when} call ${call}`)
        await db.close()
        if (ended) break
        expect(call).toBeLessThan(50)
      }
    })
  }
})
