// Invariant: bad input to range deletes, merges, times to live and keyspaces is INVALID, and nothing is written.
import { MemoryObjectStore } from '@moraine/object-store'
import { counter, counterBytes, type Db, type MergeOperator, open, openReader, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { outcomeOf, QUIET } from './subject.ts'

const LONE = 'key \ud800'
const failing: MergeOperator = {
  name: 'failing',
  version: 1,
  merge: () => {
    throw new Error('no')
  },
}

let db: Db
beforeEach(async () => {
  db = await open({ store: new MemoryObjectStore() }, { ...QUIET, keyspaces: { counts: { mergeOperator: counter }, failing: { mergeOperator: failing } } })
})
afterEach(() => db.close())

describe('calls', () => {
  const cases: Record<string, (on: Db) => Promise<unknown>> = {
    'deleteRange: gte above lt': (on) => on.deleteRange({ gte: 'b', lt: 'a' }),
    'deleteRange: a lone surrogate': (on) => on.deleteRange({ gte: LONE }),
    'deleteRange: unknown bound': (on) => on.deleteRange({ lte: 'b' } as never),
    'deleteRange: no range': (on) => on.deleteRange(undefined as never),
    'deleteRange: a list': (on) => on.deleteRange(['a', 'b'] as never),
    'deleteRange: null': (on) => on.deleteRange(null as never),
    'deleteRange: a number for a bound': (on) => on.deleteRange({ gte: 5 } as never),
    'deleteRange: a bound that is too long': (on) => on.deleteRange({ lt: 'x'.repeat(65_536) }),
    'deleteRange: unknown option': (on) => on.deleteRange({}, { ttlMs: 5 } as never),
    'merge: no operator': (on) => on.merge('k', 'v'),
    'merge: no operator in a named keyspace': (on) => on.keyspace('plain').merge('k', 'v'),
    'merge: refused operand': (on) => on.keyspace('counts').merge('k', 'short'),
    'merge: a lone surrogate': (on) => on.keyspace('failing').merge('k', LONE),
    'merge: unknown option': (on) => on.keyspace('counts').merge('k', counterBytes(1), { ttl: 5 } as never),
    'batch: merge without an operator': (on) => on.write(new WriteBatch().put('x', 'y').merge('k', 'v')),
    'batch: refused operand': (on) => on.write(new WriteBatch().put('x', 'y').merge('k', 'v', { keyspace: 'counts' })),
  }
  test.each(Object.entries(cases))('%s', async (_, call) => {
    await expect(call(db)).rejects.toMatchObject({ code: 'INVALID' })
    expect(db.stats().lastSequence).toBe(0)
  })

  test.each([0, -1, 1.5, Number.NaN, 100 * 365 * 86_400_000 + 1, '5', null, -Infinity])('ttlMs %s', async (ttlMs) => {
    const options = { ttlMs } as never
    expect(await outcomeOf(db.put('k', 'v', options))).toBe('INVALID')
    expect(await outcomeOf(db.keyspace('counts').merge('k', counterBytes(1), options))).toBe('INVALID')
    expect(() => new WriteBatch().put('k', 'v', options)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
    expect(() => db.keyspace('other', options)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
    const store = new MemoryObjectStore()
    expect(await outcomeOf(open({ store }, { ...QUIET, ttlMs } as never))).toBe('INVALID')
    expect((await store.list('')).objects).toEqual([])
    expect(db.stats().lastSequence).toBe(0)
  })

  test('an empty range deletes nothing and writes nothing', async () => {
    await db.deleteRange({ gte: 'a', lt: 'a' })
    await db.write(new WriteBatch().deleteRange({ gte: 'a', lt: 'a' }).deleteRange({ lt: '' }))
    await db.deleteRange({ lt: '' })
    expect(db.stats().lastSequence).toBe(0)
  })

  test('an operator that fails fails the reads of its key only, as INVALID, and stops nothing else', async () => {
    const keyspace = db.keyspace('failing')
    await keyspace.merge('k', 'v')
    await keyspace.put('sound', 'v')
    for (const work of [() => db.flush(), () => db.compact()]) {
      await expect(keyspace.get('k')).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('failing') as string })
      expect(await keyspace.get('sound')).toBeDefined()
      await work()
    }
  })
})

describe('keyspaces', () => {
  test.each(['', 'a b', 'ä', 'x'.repeat(65), 7, null, undefined, {}])('no keyspace is called %j', async (name) => {
    expect(() => db.keyspace(name as never)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
    if (name === '' || name === undefined) return
    expect(() => new WriteBatch().put('k', 'v', { keyspace: name as never })).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
  })

  const wrong: Record<string, object> = {
    'unknown option': { ttl: 5 },
    'an operator without a name': { mergeOperator: { version: 1, merge: () => new Uint8Array() } },
    'an operator with version 0': { mergeOperator: { ...failing, version: 0 } },
    'an operator whose merge is none': { mergeOperator: { ...failing, merge: 5 } },
    'an operator whose combine is none': { mergeOperator: { ...failing, combine: 5 } },
    'a filter that is none': { compactionFilter: {} },
    'an unknown compression': { compression: 'gzip' },
  }
  test.each(Object.entries(wrong))('%s', async (_, options) => {
    expect(() => db.keyspace('k', options)).toThrow(expect.objectContaining({ code: 'INVALID' }) as Error)
    const store = new MemoryObjectStore()
    const keyspaces = { k: options } as OpenOptions['keyspaces']
    expect(await outcomeOf(open({ store }, { ...QUIET, keyspaces } as OpenOptions))).toBe('INVALID')
    expect(await outcomeOf(openReader({ store }, { keyspaces } as never))).toBe('INVALID')
    expect((await store.list('')).objects).toEqual([])
  })
})
