// Invariant: one prefix holds one database. A prefix that holds something else is refused untouched, and a creation that
// was interrupted is finished by whoever comes next.
import { MemoryObjectStore } from '@moraine/object-store'
import { open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET } from './subject.ts'

async function keysOf(store: MemoryObjectStore): Promise<string[]> {
  return (await store.list('')).objects.map(({ key }) => key)
}

describe('pitfall 29: what a prefix may hold', () => {
  test('something else: INVALID that names it, nothing written', async () => {
    for (const foreign of ['readme.txt', 'data/part-0001.parquet', 'manifest', 'sstable/x', 'a', 'zzz']) {
      const store = new MemoryObjectStore()
      await store.put(foreign, new Uint8Array([1]))
      await expect(open({ store }, QUIET)).rejects.toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining(foreign) as string,
        detail: { object: foreign },
      })
      expect(await keysOf(store)).toEqual([foreign])
    }
  })

  test('an object called identity that is not ours: refused, untouched', async () => {
    const store = new MemoryObjectStore()
    await store.put('identity', new TextEncoder().encode('me, myself'))
    expect(await outcomeOf(open({ store }, QUIET))).toBe('CORRUPTION')
    expect(await keysOf(store)).toEqual(['identity'])
  })

  test('something else beside a prefix does not matter', async () => {
    const store = new MemoryObjectStore()
    await store.put('other/readme.txt', new Uint8Array([1]))
    await store.put('databases', new Uint8Array([1]))
    const db = await open({ store, prefix: 'database' }, QUIET)
    await db.put('a', '1')
    await db.close()
    expect((await keysOf(store)).filter((key) => !key.startsWith('database/'))).toEqual(['databases', 'other/readme.txt'])
  })

  test('two prefixes of one bucket are two databases, also when one name begins with the other', async () => {
    const store = new MemoryObjectStore()
    const one = await open({ store, prefix: 'jobs/one' }, QUIET)
    const ten = await open({ store, prefix: 'jobs/one-more' }, QUIET)
    await one.put('who', 'one', { durability: 'store' })
    await ten.put('who', 'ten', { durability: 'store' })
    expect(one.stats().databaseId).not.toBe(ten.stats().databaseId)
    expect([await contents(one), await contents(ten)]).toEqual([{ who: 'one' }, { who: 'ten' }])
    await one.close()
    await ten.close()
  })

  test('a database whose manifests are gone: CORRUPTION, never a new database over it', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    await db.close()
    const manifests = (await keysOf(store)).filter((key) => key.startsWith('manifest/'))
    await store.deleteMany(manifests)
    const before = await keysOf(store)
    expect(await outcomeOf(open({ store }, QUIET))).toBe('CORRUPTION')
    expect(await keysOf(store)).toEqual(before)
  })

  test('an identity without a manifest is finished, under the same id', async () => {
    const store = new MemoryObjectStore()
    const first = await open({ store }, QUIET)
    const { databaseId } = first.stats()
    await first.close()
    await store.deleteMany((await keysOf(store)).filter((key) => key !== 'identity'))
    const db = await open({ store }, QUIET)
    expect(db.stats().databaseId).toBe(databaseId)
    expect(db.stats().epoch).toBe(1)
    await db.close()
  })

  test('foreign objects among the manifests do not hide the newest one', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    await db.close()
    await store.put('manifest/0-backup', new Uint8Array([1]))
    await store.put('manifest/zzz', new Uint8Array([1]))
    const again = await open({ store }, QUIET)
    expect(await contents(again)).toEqual({ a: '1' })
    await again.close()
  })

  test('createIfMissing: false refuses an empty prefix and leaves it empty', async () => {
    const store = new MemoryObjectStore()
    expect(await outcomeOf(open({ store }, { ...QUIET, createIfMissing: false }))).toBe('INVALID')
    expect(await keysOf(store)).toEqual([])
  })

  test('pitfall 9: a store that ignores the condition of a create is refused', async () => {
    class Careless extends MemoryObjectStore {
      override put(...[key, body]: Parameters<MemoryObjectStore['put']>): ReturnType<MemoryObjectStore['put']> {
        return super.put(key, body)
      }
    }
    await expect(open({ store: new Careless() }, QUIET)).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('If-None-Match') as string,
    })
  })
})
