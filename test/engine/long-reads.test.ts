// Invariant: a read sees one moment of the database from its beginning to its end, however long it takes and whatever is
// flushed, compacted, deleted and reused meanwhile; and it holds nothing once it is over.
import { Deferred, utf8Decode } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type StoreFault } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type Db, open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

/** No block is kept, so that every step of a read asks the store. */
const COLD: OpenOptions = { ...QUIET, compression: 'none', blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 }

async function tablesIn(store: MemoryObjectStore): Promise<string[]> {
  return (await store.list('sst/')).objects.map(({ key }) => key)
}

/** Rewrites everything several times over: flushes, compactions, deletions of their inputs, reused memtable chunks. */
async function churn(db: Db, rounds = 3): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await putAll(db, numbered(0, 300).map(([key]): [string, string] => [key, `churn ${round} `.padEnd(900, '#')]))
    await db.flush()
    await db.compact()
  }
}

function holdingBack(inner: MemoryObjectStore): { store: FaultyObjectStore; hold: () => void; letGo: () => void } {
  let gate = new Deferred<void>()
  let holding = false
  const store = new FaultyObjectStore(
    inner,
    (operation): StoreFault | undefined => (holding && operation === 'get' ? { kind: 'delay', until: gate.promise } : undefined),
    { clock: new SimulatedClock() },
  )
  return {
    store,
    hold: () => {
      gate = new Deferred<void>()
      holding = true
    },
    letGo: () => {
      holding = false
      gate.resolve()
    },
  }
}

describe('pitfall 4: reads that outlive what they read', () => {
  for (const reverse of [false, true]) {
    test(`a scan ${reverse ? 'backwards ' : ''}over tables and memtables that are flushed, compacted and deleted meanwhile`, async () => {
      const store = new MemoryObjectStore()
      const db = await open({ store }, COLD)
      await putAll(db, numbered(0, 100))
      await db.flush()
      await putAll(db, numbered(100, 200))
      await db.compact()
      await putAll(db, numbered(200, 300))
      const expected = numbered(0, 300)
      if (reverse) expected.reverse()
      const found: [string, string][] = []
      for await (const [key, value] of db.scan({ reverse })) {
        found.push([utf8Decode(key), utf8Decode(value)])
        if (found.length % 90 === 20) await churn(db, 1)
      }
      expect(found).toEqual(expected)
      // Once it is over, what it held is deleted.
      await churn(db, 1)
      await db.close()
      expect((await tablesIn(store)).length).toBeLessThan(80)
    })
  }

  test('a get that waits for its block while the table is replaced and deleted', async () => {
    const inner = new MemoryObjectStore()
    const { store, hold, letGo } = holdingBack(inner)
    const db = await open({ store }, COLD)
    await putAll(db, numbered(0, 50))
    await db.compact()
    hold()
    const waiting = [textOf(db.get('key-000007')), textOf(db.get('nothing'))]
    const many = db.getMany(['key-000001', 'nothing', 'key-000049'])
    await new Promise((resolve) => setImmediate(resolve))
    await putAll(db, numbered(0, 50, 99))
    const flushing = db.flush()
    letGo()
    await flushing
    await churn(db)
    expect(await Promise.all(waiting)).toEqual(['value-7-............', undefined])
    expect((await many).map((value) => (value === undefined ? undefined : utf8Decode(value)))).toEqual([
      'value-1-............',
      undefined,
      'value-49-...........',
    ])
    await db.close()
  })

  test('snapshots keep their moment through overwrites, deletions, flushes and compactions', async () => {
    const db = await open({ store: new MemoryObjectStore() }, SMALL)
    const moments: { at: ReturnType<Db['snapshot']>; expected: Record<string, string> }[] = []
    for (let round = 0; round < 6; round++) {
      await putAll(db, numbered(0, 40, 20 + round))
      for (let i = round; i < 40; i += 7) await db.delete(`key-${String(i).padStart(6, '0')}`)
      moments.push({ at: db.snapshot(), expected: await contents(db) })
      if (round % 2 === 0) await db.flush()
      else await db.compact()
    }
    await churn(db)
    for (const { at, expected } of moments) {
      expect(await contents(db, { snapshot: at })).toEqual(expected)
      expect(await contents(db, { snapshot: at, reverse: true })).toEqual(expected)
      for (const key of ['key-000000', 'key-000005', 'key-000039']) {
        expect(await textOf(db.get(key, { snapshot: at }))).toBe(expected[key])
      }
      at.close()
      expect(await outcomeOf(db.get('key-000000', { snapshot: at }))).toBe('CLOSED')
    }
    expect(db.stats().snapshots).toBe(0)
    await db.close()
  })

  test('getMany reads one moment, whatever is written while some of its keys wait', async () => {
    const inner = new MemoryObjectStore()
    const { store, hold, letGo } = holdingBack(inner)
    const db = await open({ store }, COLD)
    await db.put('cold', 'one')
    await db.put('hot', 'one')
    await db.flush()
    hold()
    const both = db.getMany(['cold', 'hot', 'cold'])
    await db.put('hot', 'two')
    await db.put('cold', 'two')
    letGo()
    expect((await both).map((value) => utf8Decode(value as Uint8Array))).toEqual(['one', 'one', 'one'])
    await db.close()
  })
})

describe('reads that end early', () => {
  test('a consumer that breaks gives its view back: what it held is deleted', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, COLD)
    await putAll(db, numbered(0, 200))
    await db.flush()
    for (let i = 0; i < 3; i++) {
      for await (const _ of db.scan()) break
      for await (const _ of db.scanBatches()) break
      await expect(
        (async () => {
          for await (const _ of db.scan()) throw new Error('the consumer fails')
        })(),
      ).rejects.toThrow('the consumer fails')
    }
    const [first] = await tablesIn(store)
    await churn(db, 1)
    await db.close()
    expect(await tablesIn(store)).not.toContain(first)
  })

  test('a scan that is given back before its first entry holds nothing back', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, COLD)
    await putAll(db, numbered(0, 20))
    await db.flush()
    const [first] = await tablesIn(store)
    await db.scan().return()
    await churn(db, 1)
    await db.close()
    expect(await tablesIn(store)).not.toContain(first)
  })

  test('an abandoned scan does no harm to anybody else, and close ends it', async () => {
    const db = await open({ store: new MemoryObjectStore() }, COLD)
    await putAll(db, numbered(0, 100))
    const abandoned = db.scan()
    await abandoned.next()
    await churn(db)
    expect(Object.keys(await contents(db))).toHaveLength(300)
    await db.close()
    // What it has fetched already it may give; then it says that the database is closed.
    let code = 'ok'
    for (let i = 0; i < 100 && code === 'ok'; i++) code = await outcomeOf(abandoned.next())
    expect(code).toBe('CLOSED')
  })

  test('return() while next() waits for the store: both resolve, nothing is given afterwards', async () => {
    const inner = new MemoryObjectStore()
    const { store, hold, letGo } = holdingBack(inner)
    const db = await open({ store }, COLD)
    await putAll(db, numbered(0, 100, 2000))
    await db.flush()
    await putAll(db, numbered(50, 150, 3000))
    await db.flush()
    await putAll(db, numbered(100, 200, 400))
    for (const reverse of [false, true]) {
      for (let given = 0; given < 60; given += 9) {
        const scan = db.scan({ reverse })
        for (let i = 0; i < given; i++) await scan.next()
        hold()
        const waiting = Array.from({ length: 120 }, () => scan.next())
        await new Promise((resolve) => setImmediate(resolve))
        expect(await scan.return()).toEqual({ done: true, value: undefined })
        letGo()
        // The first ones may have been ready before; once one is over, all later ones are.
        const ends = (await Promise.all(waiting)).map(({ done }) => done)
        expect(ends.slice(ends.indexOf(true))).not.toContain(false)
        expect(ends).toContain(true)
        expect(await scan.next()).toEqual({ done: true, value: undefined })
      }
    }
    await churn(db, 1)
    await db.close()
  })

  test('overlapping next() calls give every entry once and in order', async () => {
    const db = await open({ store: new MemoryObjectStore() }, COLD)
    await putAll(db, numbered(0, 100))
    await db.flush()
    const scan = db.scan()
    const given = await Promise.all(Array.from({ length: 120 }, () => scan.next()))
    const keys = given.flatMap(({ value }) => (value === undefined ? [] : [utf8Decode(value[0])]))
    expect(keys).toEqual(numbered(0, 100).map(([key]) => key))
    expect(given.filter(({ done }) => done)).toHaveLength(20)
    await db.close()
  })

  test('a signal ends a scan and a get with ABORTED, and what they waited for may still arrive', async () => {
    const inner = new MemoryObjectStore()
    const { store, hold, letGo } = holdingBack(inner)
    const db = await open({ store }, COLD)
    await putAll(db, numbered(0, 100))
    await db.flush()
    const abort = new AbortController()
    hold()
    const got = outcomeOf(db.get('key-000001', { signal: abort.signal }))
    const many = outcomeOf(db.getMany(['key-000001', 'key-000002'], { signal: abort.signal }))
    abort.abort()
    expect(await got).toBe('ABORTED')
    expect(await many).toBe('ABORTED')
    expect(await outcomeOf(contents(db, { signal: abort.signal }))).toBe('ABORTED')
    letGo()
    expect(await textOf(db.get('key-000001'))).toBe('value-1-............')
    await db.close()
  })

  test('what a read gave is the caller\'s own: later work does not change it, changing it changes nothing', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await putAll(db, numbered(0, 50))
    const fromMemtable = (await db.get('key-000001')) as Uint8Array
    const scanned: [Uint8Array, Uint8Array][] = []
    for await (const [key, value] of db.scan({ limit: 5 })) scanned.push([key, value])
    const before = [fromMemtable, ...scanned.flat()].map((bytes) => utf8Decode(bytes))
    await churn(db)
    expect([fromMemtable, ...scanned.flat()].map((bytes) => utf8Decode(bytes))).toEqual(before)
    const fromTable = (await db.get('key-000001')) as Uint8Array
    const expected = utf8Decode(fromTable)
    fromTable.fill(0)
    for (const bytes of scanned.flat()) bytes.fill(0)
    expect(await textOf(db.get('key-000001'))).toBe(expected)
    await db.close()
  })
})
