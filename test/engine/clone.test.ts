// Invariant: a clone holds what its source held, nothing is copied, and from then on neither side sees or harms the other;
// parts of a database that are put together again are the database.
import { MoraineError, systemClock, utf8Decode } from '@moraine/base'
import { CountingObjectStore, FaultyObjectStore, MemoryObjectStore, subtractRequests } from '@moraine/object-store'
import { clone, type CloneSourceSpec, type Db, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, textOf } from './subject.ts'

type Store = MemoryObjectStore | CountingObjectStore

async function make(store: Store, prefix: string, entries: readonly [string, string][], compact = false): Promise<void> {
  const db = await open({ store, prefix }, QUIET)
  // Two tables of level 0 that overlap, and one level below them when compacted in between.
  await putAll(db, entries.filter((_, i) => i % 2 === 0))
  await db.flush()
  if (compact) await db.compact()
  await putAll(db, entries.filter((_, i) => i % 2 === 1))
  await db.close()
}

async function read(store: Store, prefix: string): Promise<Record<string, string>> {
  const db = await open({ store, prefix }, { ...QUIET, createIfMissing: false })
  const found = await contents(db)
  await db.close()
  return found
}

async function keysOf(store: Store, folder: string): Promise<string[]> {
  return (await store.list(folder)).objects.map(({ key }) => key)
}

async function write(store: Store, prefix: string, change: (db: Db) => Promise<void>): Promise<void> {
  const db = await open({ store, prefix }, { ...QUIET, createIfMissing: false })
  await change(db)
  await db.close()
}

describe('a clone of one database', () => {
  test('holds what the source held, copies nothing, and goes its own way', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 200), true)
    const before = await keysOf(store, 'a/sst/')
    const report = await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    expect(report.tables).toBeGreaterThan(1)
    expect(report.origins).toMatchObject([{ place: { kind: 'sibling', prefix: 'a' } }])
    expect(await keysOf(store, 'b/sst/')).toEqual([])
    expect(await read(store, 'b')).toEqual(Object.fromEntries(numbered(0, 200)))
    await write(store, 'b', async (db) => {
      await db.put('key-000001', 'changed in b')
      await db.delete('key-000002')
    })
    await write(store, 'a', (db) => db.put('key-000003', 'changed in a'))
    const base = Object.fromEntries(numbered(0, 200))
    const { 'key-000002': _, ...rest } = base
    expect(await read(store, 'b')).toEqual({ ...rest, 'key-000001': 'changed in b' })
    expect(await read(store, 'a')).toEqual({ ...base, 'key-000003': 'changed in a' })
    expect(await keysOf(store, 'a/sst/')).toEqual(expect.arrayContaining(before))
  })

  test('that is given up in its last step says that it may be complete, and it is whole', async () => {
    const bucket = new MemoryObjectStore()
    await make(bucket, 'a', numbered(0, 200), true)
    // What a store says whose request was on its way when the signal fired.
    const error = new MoraineError('ABORTED', 'the call was aborted by its signal')
    const store = new FaultyObjectStore(
      bucket,
      (operation, key) => (operation === 'put' && key.startsWith('b/manifest/') ? { kind: 'loseReply', error } : undefined),
      { clock: systemClock },
    )
    const given = clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await expect(given).rejects.toMatchObject({ code: 'ABORTED', message: expect.stringContaining('may be complete') as string })
    expect(await read(bucket, 'b')).toEqual(Object.fromEntries(numbered(0, 200)))
  })

  test('sees what a running source has flushed, and not more', async () => {
    const store = new MemoryObjectStore()
    const source = await open({ store, prefix: 'a' }, QUIET)
    await source.put('flushed', '1')
    await source.flush()
    await source.put('in memory', '2')
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    expect(await read(store, 'b')).toEqual({ flushed: '1' })
    await source.close()
  })

  test('its writes are newer than everything borrowed', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 50))
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const source = await open({ store, prefix: 'a' }, QUIET)
    const db = await open({ store, prefix: 'b' }, QUIET)
    expect(db.stats().databaseId).not.toBe(source.stats().databaseId)
    expect(db.stats().lastSequence).toBe(source.stats().lastSequence)
    await putAll(db, numbered(0, 50).map(([key]) => [key, 'new']))
    await db.flush()
    expect(await textOf(db.get('key-000007'))).toBe('new')
    await db.compact()
    expect(await textOf(db.get('key-000007'))).toBe('new')
    await db.close()
    await source.close()
  })

  test('of a checkpoint holds what the checkpoint holds', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 50), true)
    let id = ''
    await write(store, 'a', async (db) => {
      id = (await db.checkpoint({ name: 'nightly' })).id
      await putAll(db, numbered(0, 100).map(([key]) => [key, 'later']))
      await db.compact()
    })
    for (const checkpoint of ['nightly', id]) {
      await clone({ store, prefix: 'a' }, { store, prefix: checkpoint }, { checkpoint })
      expect(await read(store, checkpoint)).toEqual(Object.fromEntries(numbered(0, 50)))
    }
    await clone([{ location: { store, prefix: 'a' }, checkpoint: id, range: { lt: 'key-000020' } }], { store, prefix: 'c' })
    expect(await read(store, 'c')).toEqual(Object.fromEntries(numbered(0, 20)))
  })

  test('an empty database, and a range without keys, give an empty clone that pins nothing', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', [])
    await make(store, 'full', numbered(0, 10))
    expect((await clone({ store, prefix: 'a' }, { store, prefix: 'b' })).origins).toEqual([])
    expect((await clone({ store, prefix: 'full' }, { store, prefix: 'c' }, { range: { gte: 'z' } })).origins).toEqual([])
    expect(await keysOf(store, 'full/pin/')).toEqual([])
    expect(await read(store, 'c')).toEqual({})
  })

  test('between stores that URLs name', async () => {
    const name = `clone-${process.pid}`
    await make(MemoryObjectStore.named(name), 'deep/a', numbered(0, 60))
    await clone(`memory://${name}/deep/a`, `memory://${name}/b`)
    await clone(`memory://${name}/b`, `memory://${name}-other/c`)
    const other = MemoryObjectStore.named(`${name}-other`)
    expect(await read(other, 'c')).toEqual(Object.fromEntries(numbered(0, 60)))
    // And back again: what was elsewhere for c is a sibling for d.
    const report = await clone(`memory://${name}-other/c`, `memory://${name}/d`)
    expect(report.origins.map(({ place }) => place)).toEqual([{ kind: 'sibling', prefix: 'deep/a' }])
    expect(await read(MemoryObjectStore.named(name), 'd')).toEqual(Object.fromEntries(numbered(0, 60)))
  })
})

describe('what cannot be cloned', () => {
  test('is refused with the reason, before anything is written', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 10))
    await make(store, 'taken', numbered(0, 10))
    await store.put('foreign/readme', new Uint8Array(1))
    const a = { store, prefix: 'a' }
    const before = await keysOf(store, '')
    const cases: [Promise<unknown>, RegExp][] = [
      [clone(a, a), /source and target at once/],
      [clone(a, { store, prefix: 'taken' }), /holds a database already/],
      [clone(a, { store, prefix: 'foreign' }), /holds something else/],
      [clone({ store, prefix: 'nowhere' }, { store, prefix: 'b' }), /no database at memory:\/\/\/nowhere/],
      [clone(a, { store: new MemoryObjectStore(), prefix: 'b' }), /Give the source as a URL/],
      [clone(a, { store, prefix: 'b' }, { checkpoint: 'never' }), /no checkpoint 'never'/],
      [clone(a, { store, prefix: 'b' }, { range: { gte: 'b', lt: 'a' } }), /gte is above lt/],
      [clone(a, { store, prefix: 'b' }, { range: { gte: 'b', lt: 'b' } }), /no key can be in the range/],
      [clone([], { store, prefix: 'b' }), /at least one source/],
      [clone([a], { store, prefix: 'b' }, { range: { gte: 'a' } }), /every one has its own/],
      [clone([a, { store, prefix: 'taken' }], { store, prefix: 'b' }), /memory:\/\/\/a .* memory:\/\/\/taken .* overlap/],
      [clone(a, { store, prefix: 'b' }, { rnage: {} } as object), /no option 'rnage'/],
      [clone(7 as unknown as string, { store, prefix: 'b' }), /must be a URL/],
    ]
    for (const [refused, reason] of cases) await expect(refused).rejects.toMatchObject({ code: 'INVALID', message: reason })
    expect(await keysOf(store, '')).toEqual(before)
  })
})

describe('ranges', () => {
  const bounds = ['key-000000', 'key-000010', 'key-000011', 'key-000020']

  test('at exact keys: gte is in, lt is out, in reads, lookups and scans both ways', async () => {
    for (const compact of [false, true]) {
      const store = new MemoryObjectStore()
      await make(store, 'a', numbered(0, 40), compact)
      for (const [i, gte] of bounds.entries()) {
        for (const lt of bounds.slice(i + 1)) {
          const prefix = `${gte}-${lt}`
          await clone({ store, prefix: 'a' }, { store, prefix }, { range: { gte, lt } })
          const wanted = numbered(0, 40).filter(([key]) => key >= gte && key < lt)
          const db = await open({ store, prefix }, QUIET)
          expect(Object.entries(await contents(db))).toEqual(wanted)
          expect(Object.entries(await contents(db, { reverse: true }))).toEqual(wanted.toReversed())
          for (const [key, value] of numbered(0, 40)) {
            const inside = key >= gte && key < lt
            expect(await textOf(db.get(key)), key).toBe(inside ? value : undefined)
            // A scan that starts at, and one that ends at, every key there is.
            const from = Object.keys(await contents(db, { gte: key }))
            expect(from).toEqual(wanted.map(([k]) => k).filter((k) => k >= key))
            const below = Object.keys(await contents(db, { lte: key, reverse: true }))
            expect(below).toEqual(wanted.map(([k]) => k).filter((k) => k <= key).toReversed())
          }
          await db.compact()
          expect(Object.entries(await contents(db))).toEqual(wanted)
          await db.close()
        }
      }
    }
  })

  test('a deleted key stays deleted in a part, also when its tombstone is the bound', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 30))
    await write(store, 'a', async (db) => {
      await db.compact()
      for (const key of ['key-000010', 'key-000019', 'key-000020']) await db.delete(key)
    })
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' }, { range: { gte: 'key-000010', lt: 'key-000020' } })
    const wanted = numbered(11, 19).map(([key]) => key)
    expect(Object.keys(await read(store, 'b'))).toEqual(wanted)
    await write(store, 'b', (db) => db.compact())
    expect(Object.keys(await read(store, 'b'))).toEqual(wanted)
    // Outside its range a clone is a database like any other, and nothing of the source shows there.
    await write(store, 'b', (db) => db.put('key-000025', 'own'))
    expect(Object.keys(await read(store, 'b'))).toEqual([...wanted, 'key-000025'])
    expect(Object.keys(await read(store, 'a'))).toHaveLength(27)
  })
})

describe('rescaling', () => {
  const cuts = ['key-000050', 'key-000100', 'key-000150']
  const ranges = [{ lt: cuts[0] }, { gte: cuts[0], lt: cuts[1] }, { gte: cuts[1], lt: cuts[2] }, { gte: cuts[2] }]
  const all = Object.fromEntries(numbered(0, 200))

  test('1 to 4 to 2 to 1 moves no data, and the parts are the whole', async () => {
    for (const compact of [false, true]) {
      const store = new CountingObjectStore(new MemoryObjectStore())
      await make(store, 'a', numbered(0, 200, 300), compact)
      const before = store.snapshot()
      const parts: CloneSourceSpec['location'][] = []
      for (const [i, range] of ranges.entries()) {
        const part = { store, prefix: `quarter-${i}` }
        await clone({ store, prefix: 'a' }, part, { range: range as { gte: string; lt: string } })
        parts.push(part)
      }
      await clone(parts.slice(0, 2), { store, prefix: 'half-0' })
      await clone(parts.slice(2), { store, prefix: 'half-1' })
      const whole = await clone([{ store, prefix: 'half-1' }, { store, prefix: 'half-0' }], { store, prefix: 'whole' })
      const moved = subtractRequests(store.snapshot(), before)
      expect(moved.bytesWritten).toBeLessThan(30_000)
      expect(Object.keys(await read(store, 'whole'))).toEqual(Object.keys(all))
      expect(Object.keys(await read(store, 'half-0'))).toEqual(Object.keys(all).slice(0, 100))
      // The splinters have grown together: the union names the very tables that the source has.
      const source = await open({ store, prefix: 'a' }, QUIET)
      expect(whole.tables).toBe(source.stats().files)
      expect(whole.origins).toHaveLength(1)
      await source.close()
    }
  })

  test('parts that were written to and compacted come together with what they became', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 200), true)
    const wanted: Record<string, string> = { ...all }
    for (const [i, range] of ranges.entries()) {
      await clone({ store, prefix: 'a' }, { store, prefix: `q${i}` }, { range: range as { gte: string; lt: string } })
      await write(store, `q${i}`, async (db) => {
        const own = numbered(i * 50, i * 50 + 50).filter((_, n) => n % 7 === i)
        for (const [key] of own) await db.put(key, (wanted[key] = `${key} in ${i}`))
        await db.delete(`key-${String(i * 50).padStart(6, '0')}`)
        delete wanted[`key-${String(i * 50).padStart(6, '0')}`]
        if (i % 2 === 0) await db.compact()
      })
    }
    const quarters = ranges.map((_, i) => ({ store, prefix: `q${i}` }))
    await clone(quarters, { store, prefix: 'whole' })
    expect(await read(store, 'whole')).toEqual(wanted)
    await write(store, 'whole', async (db) => {
      await db.put('key-000001', (wanted['key-000001'] = 'last'))
      await db.compact()
    })
    expect(await read(store, 'whole')).toEqual(wanted)
  })

  test('databases that never knew each other, with sequence numbers of their own', async () => {
    const store = new MemoryObjectStore()
    // The second history is far longer: nothing of it may outrank the first.
    await make(store, 'x', [['a1', 'x'], ['a2', 'x']])
    await make(store, 'y', numbered(0, 300))
    await write(store, 'x', (db) => db.put('a1', 'x again'))
    await clone([{ store, prefix: 'y' }, { store, prefix: 'x' }], { store, prefix: 'z' })
    const wanted = { a1: 'x again', a2: 'x', ...Object.fromEntries(numbered(0, 300)) }
    expect(await read(store, 'z')).toEqual(wanted)
    await write(store, 'z', async (db) => {
      await db.put('a1', 'z')
      await db.flush()
      expect(await textOf(db.get('a1'))).toBe('z')
      await db.compact()
    })
    expect(await read(store, 'z')).toEqual({ ...wanted, a1: 'z' })
  })

  test('two ranges of one database, given as two sources, leave a gap', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 40), true)
    const location = { store, prefix: 'a' }
    const sources = [{ location, range: { gte: 'key-000030' } }, { location, range: { lt: 'key-000010' } }]
    await clone(sources, { store, prefix: 'b' })
    expect(Object.keys(await read(store, 'b'))).toEqual([...numbered(0, 10), ...numbered(30, 40)].map(([key]) => key))
    expect(await outcomeOf(clone([{ location, range: { gte: 'a' } }, { location, range: { lt: 'b' } }], { store, prefix: 'c' }))).toBe('INVALID')
  })
})

describe('pins', () => {
  test('pitfall 35: a clone of a clone of a clone pins every origin itself', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 100), true)
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    await write(store, 'b', (db) => db.put('from b', '1'))
    const report = await clone({ store, prefix: 'b' }, { store, prefix: 'c' })
    expect(report.origins.map(({ place }) => place)).toEqual([
      { kind: 'sibling', prefix: 'b' },
      { kind: 'sibling', prefix: 'a' },
    ])
    // e borrows from a alone, through c, and nothing else is pinned for it.
    const e = await clone({ store, prefix: 'c' }, { store, prefix: 'e' }, { range: { gte: 'key-000010' } })
    expect(e.origins.map(({ place }) => place)).toEqual([{ kind: 'sibling', prefix: 'a' }])
    expect(await keysOf(store, 'a/pin/')).toHaveLength(3)
    expect(await keysOf(store, 'b/pin/')).toHaveLength(1)
    expect(await keysOf(store, 'c/pin/')).toHaveLength(0)
    expect(await read(store, 'e')).toEqual(Object.fromEntries(numbered(10, 100)))
  })

  test('name the clone that holds them', async () => {
    const store = new MemoryObjectStore()
    await make(store, 'a', numbered(0, 10))
    const { databaseId } = await clone({ store, prefix: 'a' }, { store, prefix: 'b' })
    const [pin] = await keysOf(store, 'a/pin/')
    expect(pin).toContain(databaseId.slice(0, 16))
    expect(utf8Decode((await store.get(pin as string))?.bytes as Uint8Array)).toContain(databaseId)
  })
})

describe('requests', () => {
  test('8 for a clone, 4 a source and 4 for a union; the same for ten times the state', async () => {
    const counted: [number, number][] = []
    for (const size of [100, 1000]) {
      const inner = new MemoryObjectStore()
      await make(inner, 'x', numbered(0, size, 400), true)
      await make(inner, 'y', numbered(size, 2 * size, 400), true)
      const store = new CountingObjectStore(inner)
      await clone({ store, prefix: 'x' }, { store, prefix: 'c' })
      const one = store.snapshot()
      await clone([{ store, prefix: 'x' }, { store, prefix: 'y' }], { store, prefix: 'u' })
      counted.push([one.requests, subtractRequests(store.snapshot(), one).requests])
    }
    expect(counted).toEqual([[8, 12], [8, 12]])
  })

  test('one more when the target is in another store', async () => {
    const name = `clone-requests-${process.pid}`
    await make(MemoryObjectStore.named(name), 'a', numbered(0, 40), true)
    const target = new CountingObjectStore(new MemoryObjectStore())
    await clone(`memory://${name}/a`, { store: target, prefix: 'b' })
    // The source is asked four times, as always.
    expect(target.snapshot().requests).toBe(8 - 4 + 1)
  })

  test('a union of four quarters that were written to: one more for the database they were split from', async () => {
    const inner = new MemoryObjectStore()
    await make(inner, 'a', numbered(0, 40), true)
    const quarters = [0, 10, 20, 30].map((from) => ({ prefix: `q${from}`, range: { gte: numbered(from, from + 1)[0]?.[0] as string, lt: numbered(from + 10, from + 11)[0]?.[0] as string } }))
    for (const { prefix, range } of quarters) {
      await clone({ store: inner, prefix: 'a' }, { store: inner, prefix }, { range })
      await write(inner, prefix, (db) => db.put(`${range.gte}x`, 'own'))
    }
    const store = new CountingObjectStore(inner)
    await clone(quarters.map(({ prefix }) => ({ store, prefix })), { store, prefix: 'whole' })
    expect(store.snapshot().requests).toBe(4 * 4 + 4 + 1)
    expect(Object.keys(await read(inner, 'whole'))).toHaveLength(44)
  })
})
