// Invariant: what a compaction filter removes stays removed, at every level, and what a snapshot sees is not shown to it.
import { MemoryObjectStore } from '@moraine/object-store'
import { type CompactionFilter, type CompactionFilterContext, type Db, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, QUIET, textOf } from './subject.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

/** Removes values that begin with `old`, upgrades those that begin with `v1`, and notes what it was asked. */
function noting(): CompactionFilter & { asked: { key: string; value: string; context: CompactionFilterContext }[] } {
  const asked: { key: string; value: string; context: CompactionFilterContext }[] = []
  return {
    name: 'noting',
    asked,
    filter: (key, value, context) => {
      asked.push({ key: text(key), value: text(value), context })
      if (text(value).startsWith('old')) return 'remove'
      if (text(value).startsWith('v1:')) return { replace: Buffer.from(`v2:${text(value).slice(3)}`) }
      return 'keep'
    },
  }
}

async function opened(compactionFilter: CompactionFilter): Promise<Db> {
  return open({ store: new MemoryObjectStore(), prefix: 'db' }, { ...QUIET, compactionFilter })
}

describe('a compaction filter', () => {
  test('removes and replaces', async () => {
    const filter = noting()
    const db = await opened(filter)
    await db.put('a', 'old a')
    await db.put('b', 'v1:b')
    await db.put('c', 'c')
    await db.flush()
    await db.put('a2', 'unflushed')
    await db.flush()
    await db.compact()
    expect(await contents(db)).toEqual({ a2: 'unflushed', b: 'v2:b', c: 'c' })
    expect(filter.asked.find(({ key }) => key === 'a')).toEqual({
      key: 'a',
      value: 'old a',
      context: { outputLevel: 1, bottommost: true },
    })
    expect(db.stats().levels.reduce((entries, level) => entries + level.entries, 0)).toBe(3)
    await db.close()
  })

  test('is left out of the compactions that it says it is not needed for', async () => {
    let needed = false
    const filter = Object.assign(noting(), { isNeeded: () => needed })
    const db = await opened(filter)
    await db.put('a', 'old a')
    await db.compact()
    expect(filter.asked).toEqual([])
    needed = true
    await db.compact()
    expect(filter.asked.map(({ key }) => key)).toEqual(['a'])
    expect(await contents(db)).toEqual({})
    await db.close()
  })

  test('pitfall 37: a removed newest version does not bring back the older one below', async () => {
    const db = await opened(noting())
    await db.put('k', 'first')
    await db.put('z', 'z')
    await db.flush()
    await db.compact()
    await db.put('k', 'old second')
    await db.flush()
    // Only what is above the older version is rewritten first: compaction goes down level by level.
    await db.compact()
    expect(await textOf(db.get('k'))).toBeUndefined()
    await db.compact()
    expect(await contents(db)).toEqual({ z: 'z' })
    await db.close()
  })

  test('is not shown what a snapshot can see, and leaves the snapshot whole', async () => {
    const filter = noting()
    const db = await opened(filter)
    await db.put('k', 'old one')
    await db.put('m', 'm')
    const snapshot = db.snapshot()
    await db.put('k', 'old two')
    await db.flush()
    await db.put('n', 'n')
    await db.flush()
    await db.compact()
    expect(filter.asked.map(({ value }) => value)).not.toContain('old one')
    expect(await textOf(db.get('k', { snapshot }))).toBe('old one')
    expect(await textOf(db.get('k'))).toBeUndefined()
    snapshot.close()
    await db.compact()
    expect(await contents(db)).toEqual({ m: 'm', n: 'n' })
    await db.close()
  })

  test.each([
    ['throws', () => { throw new Error('boom') }],
    ['answers nonsense', () => 'maybe' as 'keep'],
  ])('that %s stops its compaction, not the database', async (_, filter) => {
    const db = await opened({ name: 'broken', filter })
    await db.put('a', '1')
    await db.flush()
    await db.put('b', '2')
    await db.put('a', '3')
    await db.flush()
    await expect(db.compact()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining("'broken'") })
    expect(await contents(db)).toEqual({ a: '3', b: '2' })
    await db.put('c', '4')
    await db.close()
  })

  test.each([{}, { name: 'x' }, { name: '', filter: () => 'keep' }, 7])('%j is INVALID', async (wrong) => {
    await expect(opened(wrong as unknown as CompactionFilter)).rejects.toMatchObject({ code: 'INVALID' })
  })
})
