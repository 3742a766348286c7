// Invariant: a database in use is not destroyed; one that is half destroyed cannot be opened and can be destroyed again; what
// is not the database's stays.
import { Deferred, SeededRandom } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { destroy, open } from 'moraine'
import { createPin, releasePin } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { namesIn, newestOf } from './bucket.ts'
import { contents, numbered, outcomeOf, putAll, QUIET } from './subject.ts'

const ALL = Object.fromEntries(numbered(0, 20))

async function closedDatabase(store: MemoryObjectStore): Promise<void> {
  const db = await open({ store, prefix: 'db' }, QUIET)
  await putAll(db, numbered(0, 20))
  await db.close()
}

describe('destroy', () => {
  test('nothing of the database is left, and everything else is', async () => {
    const store = new MemoryObjectStore()
    await closedDatabase(store)
    for (const name of ['db/notes.txt', 'db/sst/notes.txt', 'other/file']) await store.put(name, new Uint8Array(1))
    expect(await destroy({ store, prefix: 'db' })).toMatchObject({ left: ['sst/notes.txt'] })
    expect(await namesIn(store, '')).toEqual(['db/notes.txt', 'db/sst/notes.txt', 'other/file'])
    expect(await outcomeOf(destroy({ store, prefix: 'db' }))).toBe('INVALID')
  })

  test('the place can be used again', async () => {
    const store = new MemoryObjectStore()
    await closedDatabase(store)
    await destroy({ store, prefix: 'db' })
    const db = await open({ store, prefix: 'db' }, QUIET)
    expect(await contents(db)).toEqual({})
    await db.close()
  })

  test('refused while an owner has it, unless forced; the owner is FENCED then', async () => {
    const store = new MemoryObjectStore()
    await closedDatabase(store)
    const db = await open({ store, prefix: 'db' }, QUIET)
    const before = await namesIn(store, '')
    expect(await outcomeOf(destroy({ store, prefix: 'db' }))).toBe('CONFLICT')
    expect(await namesIn(store, '')).toEqual(before)
    const stopped = new Deferred<void>()
    // The mark is there and the rest is not: the owner's next commit meets it.
    const slow = new FaultyObjectStore(store, (operation) => (operation === 'deleteMany' ? { kind: 'delay', until: stopped.promise } : undefined), {
      clock: new SimulatedClock(),
    })
    const destroying = destroy({ store: slow, prefix: 'db' }, { force: true })
    while (!(await namesIn(store, 'db/manifest/')).some((name) => name.endsWith('4'))) await Promise.resolve()
    await db.put('late', '1')
    expect(await outcomeOf(db.flush())).toBe('FENCED')
    stopped.resolve()
    await destroying
    await db.close()
    expect((await namesIn(store, '')).filter((name) => !name.includes('/sst/'))).toEqual([])
  })

  test('refused while a clone, a checkpoint from outside or a living lease pins it', async () => {
    const holders = [{ kind: 'clone' }, { kind: 'checkpoint' }, { kind: 'lease', leaseMs: 60_000 }] as const
    for (const holder of holders) {
      const clock = new SimulatedClock()
      const store = new MemoryObjectStore({ clock })
      const db = await open({ store }, QUIET)
      await putAll(db, numbered(0, 20))
      await db.close()
      const { id } = await newestOf(store)
      const pin = await createPin(store, { manifestId: id, scope: 'only', holder, note: { holder: 'x', createdAtMs: 0 } }, new SeededRandom(1))
      const before = await namesIn(store, '')
      expect(await outcomeOf(destroy({ store }))).toBe('CONFLICT')
      expect(await namesIn(store, '')).toEqual(before)
      if (holder.kind === 'lease') await clock.advance(120_000)
      else await releasePin(store, pin)
      await destroy({ store })
      expect(await namesIn(store, '')).toEqual([])
    }
  })

  test('somebody who pins between the two looks is found, and the database is whole again', async () => {
    const store = new MemoryObjectStore()
    await closedDatabase(store)
    let pinned = false
    const meddled = new FaultyObjectStore(
      store,
      (operation, key) => {
        if (operation !== 'put' || !key.startsWith('db/manifest/') || pinned) return undefined
        pinned = true
        return {
          kind: 'delay',
          until: store.put('db/pin/000000000000002-0123456789abcdef01234567.from.clone', new Uint8Array(1)),
        }
      },
      { clock: new SimulatedClock() },
    )
    expect(await outcomeOf(destroy({ store: meddled, prefix: 'db' }))).toBe('CONFLICT')
    const db = await open({ store, prefix: 'db' }, QUIET)
    expect(await contents(db)).toEqual(ALL)
    await db.close()
  })

  test('interrupted at any call: the next opening is refused or finds everything, and destroying again finishes', async () => {
    const outcomes = new Set<string>()
    for (let call = 1; ; call++) {
      for (const when of ['before', 'after'] as const) {
        const store = new MemoryObjectStore()
        await closedDatabase(store)
        await store.put('other/file', new Uint8Array(1))
        const cut = new CutObjectStore(store, { call, when })
        const destroying = destroy({ store: cut, prefix: 'db' })
        if ((await Promise.race([destroying.then(() => 'whole'), cut.reached.then(() => 'cut')])) === 'whole') {
          expect([...outcomes].sort()).toEqual(['gone', 'refused', 'whole'])
          return
        }
        const opening = open({ store, prefix: 'db' }, { ...QUIET, createIfMissing: false })
        const code = await outcomeOf(opening)
        if (code === 'ok') {
          const db = await opening
          expect(await contents(db)).toEqual(ALL)
          await db.close()
        }
        outcomes.add(code === 'ok' ? 'whole' : code === 'CONFLICT' ? 'refused' : 'gone')
        expect(['ok', 'CONFLICT', 'INVALID']).toContain(code)
        expect(['ok', 'INVALID']).toContain(await outcomeOf(destroy({ store, prefix: 'db' })))
        expect(await namesIn(store, '')).toEqual(['other/file'])
      }
    }
  })

  test('a prefix that never held a database: INVALID, and nothing is touched', async () => {
    const store = new MemoryObjectStore()
    await store.put('db/notes.txt', new Uint8Array(1))
    expect(await outcomeOf(destroy({ store, prefix: 'db' }))).toBe('INVALID')
    expect(await namesIn(store, '')).toEqual(['db/notes.txt'])
  })
})
