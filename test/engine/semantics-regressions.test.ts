// Invariant: defects of merges, range deletes, expiry and keyspaces that were found once do not come back.
import { MemoryObjectStore } from '@moraine/object-store'
import { ManualWallClock, MortalObjectStore } from '@moraine/testing'
import { append, clone, counter, counterBytes, counterValue, type Db, type MergeOperator, open, openReader, type OpenOptions, verify, WriteBatch } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, textOf } from './subject.ts'

const own: MergeOperator = { name: 'own', version: 1, merge: (_key, base, operands) => base ?? (operands[0] as Uint8Array) }

interface Place {
  readonly store: MemoryObjectStore
  readonly prefix: string
}

async function opened(options: OpenOptions = {}): Promise<{ store: MemoryObjectStore; db: Db }> {
  const store = new MemoryObjectStore()
  return { store, db: await open({ store }, { ...QUIET, ...options }) }
}

describe('regressions', () => {
  test('a scan does not look at operands of the keyspace behind its own (model, log in the store, seed 2)', async () => {
    const { store, db } = await opened({ wal: 'object-store' })
    await db.put('a', '1')
    await db.keyspace('next', { mergeOperator: own }).merge('b', 'x')
    const reader = await openReader({ store }, { refreshIntervalMs: 0 })
    expect(await contents(reader as never)).toEqual({ a: '1' })
    expect(await contents(reader as never, { gte: 'a', reverse: true })).toEqual({ a: '1' })
    await reader.close()
    await db.close()
  })

  test('a reader that follows learns of operators that were declared after it was opened', async () => {
    const { store, db } = await opened()
    const reader = await openReader({ store }, { refreshIntervalMs: 0 })
    const counts = reader.keyspace('counts')
    await db.keyspace('counts', { mergeOperator: counter }).merge('n', counterBytes(3))
    await db.flush()
    await reader.refresh()
    expect(counterValue(await counts.get('n'))).toBe(3n)
    await reader.close()
    await db.close()
  })

  test('operands of a batch are checked although they expire', async () => {
    const { db } = await opened({ mergeOperator: counter })
    const write = (batch: WriteBatch): Promise<string> => outcomeOf(db.write(batch))
    expect(await write(new WriteBatch().merge('n', 'short', { ttlMs: 1000 }))).toBe('INVALID')
    expect(await write(new WriteBatch().merge('n', 'x', { ttlMs: 1000, keyspace: 'without' }))).toBe('INVALID')
    expect(await write(new WriteBatch().merge('n', counterBytes(1), { ttlMs: 1000 }))).toBe('ok')
    expect(db.stats().lastSequence).toBe(1)
    await db.close()
  })

  test('a mistyped option of a batch does not put a write into another keyspace', () => {
    const invalid = expect.objectContaining({ code: 'INVALID' }) as Error
    const wrong = { keyspce: 'x' } as never
    expect(() => new WriteBatch().put('k', 'v', wrong)).toThrow(invalid)
    expect(() => new WriteBatch().merge('k', 'v', wrong)).toThrow(invalid)
    expect(() => new WriteBatch().delete('k', { ttlMs: 5 } as never)).toThrow(invalid)
    expect(() => new WriteBatch().deleteRange({}, wrong)).toThrow(invalid)
  })

  test('pitfall 28: what operands mean is durable before any of them is acknowledged', async () => {
    const store = new MemoryObjectStore()
    const mortal = new MortalObjectStore(store)
    const db = await open({ store: mortal }, { ...QUIET, wal: 'object-store' })
    const counts = db.keyspace('counts', { mergeOperator: counter })
    await counts.merge('n', counterBytes(3))
    const batches = db.keyspace('batches', { mergeOperator: append })
    await db.write(new WriteBatch().merge('t', 'x', { keyspace: batches }))
    mortal.kill()
    const again = await open({ store }, { ...QUIET, wal: 'object-store' })
    expect(() => again.keyspace('counts', { mergeOperator: append })).toThrow("merge operator 'counter'")
    expect(() => again.keyspace('batches', { mergeOperator: counter })).toThrow("merge operator 'append'")
    expect(counterValue(await again.keyspace('counts').get('n'))).toBe(3n)
    expect(await textOf(again.keyspace('batches').get('t'))).toBe('x')
    await again.close()
  })

  test('a manifest that only a clone keeps does not miss what the database had borrowed (fleet, seed 3)', async () => {
    const { store, db } = await opened()
    await putAll(db, numbered(0, 50))
    await db.close()
    const [a, b, c] = ['', 'b', 'c'].map((prefix) => ({ store, prefix })) as [Place, Place, Place]
    const within = async (place: Place, work: (one: Db) => Promise<void>): Promise<void> => {
      const one = await open(place, QUIET)
      await work(one)
      await one.close()
    }
    await clone(a, b)
    await within(b, (one) => one.put('own', 'x'))
    await clone(b, c)
    // Both let go of the first database; the third keeps a manifest of the second, which names tables of the first.
    for (const place of [c, b]) await within(place, (one) => one.compact({ gte: 'key', lt: 'kez' }))
    await within(a, async (one) => {
      await one.deleteRange({})
      await one.compact()
      await one.compact()
    })
    for (const place of [a, b, c]) expect((await verify(place)).problems).toEqual([])
  })
})

describe('pitfall 28: a database is not opened with another merge operator, before anybody is fenced', () => {
  const cases: Record<string, OpenOptions> = {
    'another one': { mergeOperator: append },
    'another version': { mergeOperator: { ...own, version: 2 } },
    'a named keyspace with another one': { mergeOperator: own, keyspaces: { n: { mergeOperator: append } } },
    'without the one that only the application has': {},
  }
  test.each(Object.entries(cases))('%s', async (_, options) => {
    const { store, db } = await opened({ mergeOperator: own, keyspaces: { n: { mergeOperator: counter } } })
    await db.merge('k', 'v')
    expect(await outcomeOf(open({ store }, { ...QUIET, ...options }))).toBe('INVALID')
    expect(await outcomeOf(openReader({ store }, { lease: false, ...(options as object) }))).toBe('INVALID')
    if (options.keyspaces !== undefined) expect(() => db.keyspace('n', { mergeOperator: append })).toThrow("merge operator 'counter'")
    await db.put('still', 'ours')
    await db.flush()
    await db.close()
  })
})

test('pitfall 37: an expired value goes on hiding the older one in another level', async () => {
  const clock = new ManualWallClock()
  const { db } = await opened({ clock })
  await db.put('k', 'older')
  await db.put('other', 'x')
  await db.compact()
  await db.put('k', 'newer', { ttlMs: 1000 })
  await db.flush()
  clock.set(clock.nowMs() + 1000)
  for (const work of [() => db.flush(), () => db.put('k2', 'v').then(() => db.flush()), () => db.compact(), () => db.compact()]) {
    expect(await db.get('k')).toBeUndefined()
    expect(Object.keys(await contents(db))).not.toContain('k')
    await work()
  }
  clock.set(clock.nowMs() - 5000)
  expect(await db.get('k')).toBeUndefined()
  await db.close()
})
