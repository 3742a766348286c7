// Invariant: whatever is missing or damaged of what a database refers to is named, with its keys and with the states that
// are whole all the same; what is whole gives no problem.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { open, verify } from 'moraine'
import { createPin, filesOf, sstName } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { newestOf } from './bucket.ts'
import { numbered, outcomeOf, putAll, QUIET } from './subject.ts'

/** Two tables in level 0; the manifest with the first alone is pinned. */
async function database(): Promise<{ store: MemoryObjectStore; tables: string[]; pinned: number }> {
  const store = new MemoryObjectStore()
  const db = await open({ store }, QUIET)
  await putAll(db, numbered(0, 200, 100))
  await db.flush()
  const pinned = (await newestOf(store)).id
  const note = { holder: 'c', createdAtMs: 0 }
  await createPin(store, { manifestId: pinned, scope: 'only', holder: { kind: 'checkpoint' }, note }, new SeededRandom(1))
  await putAll(db, numbered(200, 400, 100))
  await db.flush()
  await db.close()
  const files = [...filesOf((await newestOf(store)).version)].sort((a, b) => a.smallestSeq - b.smallestSeq)
  return { store, tables: files.map(({ id }) => sstName(id)), pinned }
}

async function damage(store: MemoryObjectStore, name: string, at: number): Promise<void> {
  const { bytes } = (await store.get(name)) as { bytes: Uint8Array }
  const place = at < 0 ? bytes.length + at : at
  bytes[place] = (bytes[place] as number) ^ 1
  await store.put(name, bytes)
}

describe('verify', () => {
  test('a sound database has no problem', async () => {
    const { store } = await database()
    for (const deep of [false, true]) {
      const report = await verify({ store }, { deep })
      expect(report).toMatchObject({ problems: [], tables: 2, deep, orphans: undefined })
      expect(report.states.map(({ what, whole }) => [what, whole])).toEqual([
        ['newest', true],
        ['pin', true],
      ])
    }
  })

  test('pitfall 19: a missing table is named with its keys, and the states that are whole without it', async () => {
    const { store, tables, pinned } = await database()
    await store.delete(tables[1] as string)
    const { problems, states } = await verify({ store })
    expect(problems).toMatchObject([
      { object: tables[1], missing: true, keys: { smallest: 'key-000200', largest: 'key-000399' } },
    ])
    expect(problems[0]?.message).toContain('key-000200')
    expect(states).toMatchObject([
      { what: 'newest', whole: false },
      { what: 'pin', manifestId: pinned, whole: true },
    ])
  })

  test('a flipped bit in the metadata is found, one in a block by a deep look', async () => {
    const { store, tables } = await database()
    await damage(store, tables[0] as string, -60)
    const shallow = await verify({ store })
    expect(shallow.problems).toMatchObject([{ object: tables[0], missing: false }])
    expect(shallow.problems[0]?.neededBy).toHaveLength(2)
    await damage(store, tables[0] as string, -60)
    await damage(store, tables[1] as string, 300)
    expect((await verify({ store })).problems).toEqual([])
    expect((await verify({ store }, { deep: true })).problems).toMatchObject([{ object: tables[1], missing: false }])
  })

  test('a table of another size is not the table', async () => {
    const { store, tables } = await database()
    const { bytes } = (await store.get(tables[0] as string)) as { bytes: Uint8Array }
    await store.put(tables[0] as string, [bytes, new Uint8Array(1)])
    expect((await verify({ store })).problems[0]?.message).toContain('but the manifest says')
  })

  test('orphans are listed and are no problem', async () => {
    const { store } = await database()
    await open({ store }, QUIET)
    const orphan = 'sst/000000000001-0123456789abcdef01234567.sst'
    await store.put(orphan, new Uint8Array(10))
    const report = await verify({ store }, { orphans: true })
    expect(report.problems).toEqual([])
    expect(report.orphans?.map(({ name }) => name)).toEqual([orphan])
  })

  test('no database: INVALID; a damaged newest manifest: CORRUPTION', async () => {
    expect(await outcomeOf(verify({ store: new MemoryObjectStore() }))).toBe('INVALID')
    const { store } = await database()
    const [newest] = (await store.list('manifest/', { maxKeys: 1 })).objects
    await damage(store, newest?.key as string, 30)
    expect(await outcomeOf(verify({ store }))).toBe('CORRUPTION')
  })
})
