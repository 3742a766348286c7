// Invariant: what a clone borrows stays readable whatever its sources do, for exactly as long as it is needed; when nothing
// is needed any more, nothing is left of the clone in its sources.
import { SeededRandom, utf8Decode } from '@moraine/base'
import { MemoryObjectStore, type ObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import { CutObjectStore, driveModel, MortalObjectStore, type PointOperation, SimulatedClock } from '@moraine/testing'
import { clone, collectGarbage, type Db, isMoraineError, open, openReader } from 'moraine'
import { ManifestStore } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL } from './subject.ts'

const ALL = Object.fromEntries(numbered(0, 100))

async function make(store: ObjectStore, prefix: string, entries: readonly [string, string][]): Promise<void> {
  await change(store, prefix, async (db) => {
    await putAll(db, entries)
    await db.compact()
    await putAll(db, entries.slice(0, 20))
  })
}

async function change(store: ObjectStore, prefix: string, work: (db: Db) => Promise<unknown>): Promise<void> {
  const db = await open({ store, prefix }, QUIET)
  await work(db)
  await db.close()
}

async function read(store: ObjectStore, prefix: string): Promise<Record<string, string>> {
  let found: Record<string, string> = {}
  await change(store, prefix, async (db) => (found = await contents(db)))
  return found
}

async function keysOf(store: ObjectStore, folder: string): Promise<string[]> {
  return (await store.list(folder)).objects.map(({ key }) => key)
}

/** Rewrites everything in a database, and collects what that made garbage. */
async function churn(store: ObjectStore, prefix: string): Promise<void> {
  await change(store, prefix, async (db) => {
    await putAll(db, numbered(0, 100).map(([key]) => [key, `churned in ${prefix}`]))
    await db.compact()
  })
  await change(store, prefix, async () => {})
  await collectGarbage({ store, prefix }, { graceMs: 0, force: true })
}

async function recorded(store: ObjectStore, prefix: string): Promise<readonly unknown[]> {
  const own = new PrefixedObjectStore(store, prefix)
  const manifests = new ManifestStore(own, { clock: new SimulatedClock(), random: new SeededRandom(1) })
  return (await manifests.readNewest())?.origins ?? []
}

describe('borrowed tables', () => {
  test('pitfall 5: outlive everything that the source does with them', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await change(store, 'a', (db) => db.checkpoint({ name: 'then' }))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await clone({ store, prefix: 'a' }, { store, prefix: 'c' }, { checkpoint: 'then', range: { lt: 'key-000050' } })
    await change(store, 'a', (db) => db.deleteCheckpoint('then'))
    await churn(store, 'a')
    expect(await read(store, 'b')).toEqual(ALL)
    expect(await read(store, 'c')).toEqual(Object.fromEntries(numbered(0, 50)))
    // And go when the last one who needs them has gone.
    const before = (await keysOf(store, 'a/sst/')).length
    await change(store, 'b', (db) => db.detach())
    await change(store, 'c', (db) => db.detach())
    await churn(store, 'a')
    expect((await keysOf(store, 'a/sst/')).length).toBeLessThan(before)
    expect(await read(store, 'b')).toEqual(ALL)
  })

  test('pitfall 35: a -> b -> c; b lets go of a, a and b collect, c reads on', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await change(store, 'b', (db) => db.put('of b', '1'))
    await clone({ store, prefix: 'b' }, { store, prefix: 'c' })
    await change(store, 'b', (db) => db.detach())
    expect(await keysOf(store, 'a/pin/')).toHaveLength(1)
    await churn(store, 'a')
    await churn(store, 'b')
    expect(await read(store, 'c')).toEqual({ ...ALL, 'of b': '1' })
    await change(store, 'c', (db) => db.detach())
    expect(await keysOf(store, 'a/pin/')).toEqual([])
    expect(await keysOf(store, 'b/pin/')).toEqual([])
    for (const prefix of ['a', 'b']) await store.deleteMany(await keysOf(store, `${prefix}/`))
    expect(await read(store, 'c')).toEqual({ ...ALL, 'of b': '1' })
  })
})

describe('detach', () => {
  test('makes a clone stand alone', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' }, { range: { gte: 'key-000010', lt: 'key-000090' } })
    await change(store, 'b', async (db) => {
      expect(db.stats().borrowed).toMatchObject([{ place: { kind: 'sibling', prefix: 'a' } }])
      expect(db.stats().borrowed[0]?.files).toBeGreaterThan(0)
      await db.detach()
      expect(db.stats().borrowed).toEqual([])
      await db.detach()
    })
    expect(await keysOf(store, 'a/pin/')).toEqual([])
    await store.deleteMany(await keysOf(store, 'a/'))
    expect(await read(store, 'b')).toEqual(Object.fromEntries(numbered(10, 90)))
  })

  test('happens by itself when a compaction rewrites the last borrowed table', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await change(store, 'b', async (db) => {
      await db.compact()
      for (let i = 0; i < 50 && db.stats().borrowed.length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(db.stats().borrowed).toEqual([])
    })
    expect(await keysOf(store, 'a/pin/')).toEqual([])
  })

  test('of a database that borrows nothing is nothing', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 10))
    const before = await keysOf(store, 'a/sst/')
    await change(store, 'a', (db) => db.detach())
    expect(await keysOf(store, 'a/sst/')).toEqual(before)
  })

  test('says what keeps it, and lets go when that has gone: a checkpoint, a scan', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await change(store, 'b', async (db) => {
      await db.checkpoint({ name: 'keep' })
      await expect(db.detach()).rejects.toMatchObject({ code: 'CONFLICT', message: /checkpoint 'keep' still refers/ })
      expect(await keysOf(store, 'a/pin/')).toHaveLength(1)
      await churn(store, 'a')
      expect(await contents(db)).toEqual(ALL)
      await db.deleteCheckpoint('keep')
      await db.detach()
      expect(await keysOf(store, 'a/pin/')).toEqual([])
    })
    await clone({ store, prefix: 'a' }, { store, prefix: 'c' })
    await change(store, 'c', async (db) => {
      const scan = db.scan()[Symbol.asyncIterator]()
      await scan.next()
      await expect(db.detach()).rejects.toMatchObject({ code: 'CONFLICT', message: /a scan or a read/ })
      await scan.return?.()
      await db.detach()
    })
  })

  test('a reader of a clone reads what it borrows, and keeps it until it moves on', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const reader = await openReader({ store, prefix: 'b' }, { refreshIntervalMs: 0 })
    await change(store, 'b', async (db) => {
      await expect(db.detach()).rejects.toMatchObject({ code: 'CONFLICT', message: /a reader still uses manifest/ })
      await churn(store, 'a')
      const found: string[] = []
      for await (const [key] of reader.scan()) found.push(utf8Decode(key))
      expect(found).toEqual(Object.keys(ALL))
      await reader.close()
      await db.detach()
    })
    expect(await keysOf(store, 'a/pin/')).toEqual([])
  })

  test('waits for readers of the clone that began before', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    // A reader's lease, as its pin says.
    const lease = `b/pin/000000000000001-${'0'.repeat(24)}.only.lease-60000`
    await store.put(lease, new Uint8Array(0))
    await change(store, 'b', async (db) => {
      await expect(db.detach()).rejects.toMatchObject({ code: 'CONFLICT', message: /a reader still uses manifest 1/ })
      await store.delete(lease)
      await db.detach()
    })
    expect(await keysOf(store, 'a/pin/')).toEqual([])
  })

  test('pitfall 5: cut off at every store call, both ends are whole and a second try ends it', async () => {
    const prepare = async (): Promise<MemoryObjectStore> => {
      const store = new MemoryObjectStore()
      await make(store, 'a', numbered(0, 40))
      await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
      return store
    }
    const run = async (store: ObjectStore, random = new SeededRandom(1)): Promise<void> => {
      const db = await open({ store, prefix: 'b' }, { ...QUIET, random })
      await db.detach()
      await db.close()
    }
    const counting = new CutObjectStore(await prepare())
    await run(counting)
    const calls = counting.calls.length
    for (let call = 1; call <= calls; call++) {
      for (const when of ['before', 'after'] as const) {
        const at = `${when} call ${call}, ${counting.calls[call - 1]}`
        const store = await prepare()
        const cut = new CutObjectStore(store, { call, when })
        void run(cut).catch((error: unknown) => {
          if (!isMoraineError(error)) throw error
        })
        await cut.reached
        await churn(store, 'a')
        expect(await read(store, 'b'), at).toEqual(Object.fromEntries(numbered(0, 40)))
        await run(store)
        expect(await keysOf(store, 'a/pin/'), at).toEqual([])
        expect(await recorded(store, 'b'), at).toEqual([])
        expect(await outcomeOf(collectGarbage({ store, prefix: 'a' }, { graceMs: 0, force: true })), at).toBe('ok')
        expect(await read(store, 'b'), at).toEqual(Object.fromEntries(numbered(0, 40)))
      }
    }
  })
})

/** Writes before a clone is made: some keys that the model will meet, some that it will not, some twice, some deleted. */
function history(random: SeededRandom): PointOperation[] {
  return Array.from({ length: 400 }, (_, i): PointOperation => {
    const key = random.chance(0.6) ? `k${random.below(300)}` : `${random.chance(0.5) ? '' : 'user/'}${String(random.below(40)).padStart(6, '0')}/`
    if (random.chance(0.2)) return { kind: 'delete', key }
    return { kind: 'put', key, value: `before ${i}`.padEnd(random.below(200), '-') }
  })
}

async function writeHistory(store: ObjectStore, operations: readonly PointOperation[], random: SeededRandom): Promise<void> {
  const db = await open({ store, prefix: 'source' }, SMALL)
  for (const { key, value } of operations) {
    await (value === undefined ? db.delete(key) : db.put(key, value))
    if (random.chance(0.02)) await db.flush()
    if (random.chance(0.005)) await db.compact()
  }
  await db.close()
}

describe('a clone against the model', () => {
  const source = 'source'
  const ways: Record<string, { keep: (key: string) => boolean; make: (store: ObjectStore) => Promise<unknown> }> = {
    'a whole database': {
      keep: () => true,
      make: (store) => clone({ store, prefix: source }, { store, prefix: 'model' }),
    },
    'a range': {
      keep: (key) => key >= 'k1' && key < 'k25',
      make: (store) => clone({ store, prefix: source }, { store, prefix: 'model' }, { range: { gte: 'k1', lt: 'k25' } }),
    },
    'split in three and united': {
      keep: () => true,
      make: async (store) => {
        const ranges = { p: { lt: 'k1' }, q: { gte: 'k1', lt: 'k200' }, r: { gte: 'k200' } }
        for (const [prefix, range] of Object.entries(ranges)) await clone({ store, prefix: source }, { store, prefix }, { range })
        await change(store, 'q', (db) => db.compact())
        await clone(['r', 'p', 'q'].map((prefix) => ({ store, prefix })), { store, prefix: 'model' })
      },
    },
  }
  for (const [name, { keep, make: makeClone }] of Object.entries(ways)) {
    for (let seed = 1; seed <= 3; seed++) {
      test(`of ${name}, while its source is rewritten and collected, seed ${seed}`, async () => {
        const store = new MemoryObjectStore()
        const random = new SeededRandom(seed)
        const operations = history(random)
        await writeHistory(store, operations, random)
        await makeClone(store)
        await churn(store, source)
        let mortal: MortalObjectStore | undefined
        const subject = {
          open: () => {
            mortal = new MortalObjectStore(store)
            return open({ store: mortal, prefix: 'model' }, SMALL)
          },
          kill: async () => mortal?.kill(),
        }
        const before = operations.map((operation) => (keep(operation.key) ? operation : ({ kind: 'delete', key: operation.key } as const)))
        await driveModel(subject, { random, steps: 500, survives: 'flushed', before })
        await change(store, 'model', (db) => db.detach())
        // Of the three parts, the one that was compacted has let go by itself.
        expect(await keysOf(store, 'source/pin/')).toHaveLength(name.startsWith('split') ? 2 : 0)
      })
    }
  }
})
