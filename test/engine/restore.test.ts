// Invariant: after a restore the database is what the checkpoint says, and nothing that was given up ever comes back: not
// from memory, not from a log, not from a late request. Before its one commit everything is as it was.
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore } from '@moraine/testing'
import { type Db, open, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-restore-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function logged(): OpenOptions {
  return { ...QUIET, ...localLog(join(folder, 'wal')) }
}

describe('what a restore does', () => {
  test('back and forward again; later writes go on from there', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await db.put('k', '1')
    await db.checkpoint({ name: 'one' })
    await db.put('k', '2')
    await db.checkpoint({ name: 'two' })
    await db.put('k', '3')
    await db.flush()
    await db.put('unflushed', 'x')
    const events: unknown[] = []
    db.on('restore', (report) => events.push(report.name))
    await db.restore('one')
    expect(await contents(db)).toEqual({ k: '1' })
    await db.put('new', 'branch')
    expect((await db.checkpoints()).map(({ name }) => name)).toEqual(['one', 'two'])
    await db.restore('two')
    expect(await contents(db)).toEqual({ k: '2' })
    expect(events).toEqual(['one', 'two'])
    await db.close()
  })

  test('it survives closing and opening, with and without a log', async () => {
    for (const options of [QUIET, logged()]) {
      const store = new MemoryObjectStore()
      const db = await open({ store }, options)
      await db.put('k', 'old')
      const { id } = await db.checkpoint()
      await db.put('k', 'new')
      await db.restore(id)
      await db.put('after', '1')
      await db.close()
      const again = await open({ store }, options)
      expect(await contents(again)).toEqual({ k: 'old', after: '1' })
      await again.close()
    }
  })

  test('sequence numbers never go back, also over a restart', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 10))
    await db.checkpoint({ name: 'x' })
    await putAll(db, numbered(0, 20))
    expect(db.stats().lastSequence).toBe(30)
    await db.restore('x')
    expect(db.stats()).toMatchObject({ lastSequence: 30, flushedSequence: 30 })
    await db.put('a', '1')
    expect(db.stats().lastSequence).toBe(31)
    expect(await textOf(db.get('a'))).toBe('1')
    await db.flush()
    await db.close()
    const again = await open({ store }, QUIET)
    expect(again.stats().lastSequence).toBe(31)
    expect(Object.keys(await contents(again))).toHaveLength(11)
    await again.close()
  })

  test('a restored database with nothing written to it flushes, checkpoints and closes', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await db.checkpoint({ name: 'empty' })
    await db.put('k', '1')
    await db.restore('empty')
    await db.flush()
    await db.checkpoint({ name: 'still-empty' })
    await db.compact()
    expect(await contents(db)).toEqual({})
    await db.close()
  })

  test('it costs the same five requests whatever the state', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 3000))
    await db.checkpoint({ name: 'x' })
    await putAll(db, numbered(0, 3000))
    await db.flush()
    store.calls.length = 0
    await db.restore('x')
    expect(store.calls.map((call) => call.replace(/\/.*$/, ''))).toEqual([
      'get manifest',
      'list manifest',
      'get manifest',
      'put manifest',
      'list manifest',
    ])
    await db.close()
  })

  test('compactions before and after do not disturb it', async () => {
    const db = await open({ store: new MemoryObjectStore() }, SMALL)
    await putAll(db, numbered(0, 300))
    await db.checkpoint({ name: 'x' })
    for (let round = 0; round < 8; round++) {
      await putAll(db, numbered(0, 300).map(([key]) => [key, `round ${round}`]))
      await db.flush()
    }
    await db.restore('x')
    expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 300)))
    await putAll(db, numbered(300, 600))
    await db.compact()
    expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 600)))
    await db.close()
  })
})

describe('what is under way', () => {
  async function withCheckpoint(): Promise<Db> {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await putAll(db, numbered(0, 100))
    await db.checkpoint({ name: 'x' })
    return db
  }

  test('snapshots and scans from before say that they are over', async () => {
    const db = await withCheckpoint()
    const snapshot = db.snapshot()
    const scan = db.scan()
    await scan.next()
    await db.restore('x')
    await expect(db.get('key-000001', { snapshot })).rejects.toMatchObject({ code: 'CLOSED', message: /restored to checkpoint 'x'/ })
    await expect((async () => { for await (const _ of scan) continue })()).rejects.toMatchObject({ code: 'CLOSED', message: /restored/ })
    snapshot.close()
    await scan.return()
    expect(await textOf(db.get('key-000001', { snapshot: db.snapshot() }))).toContain('value-1')
    await db.close()
  })

  test('calls made while it runs fail, and so does a second restore; close waits for it', async () => {
    const db = await withCheckpoint()
    const restoring = db.restore('x')
    const second = outcomeOf(db.restore('x'))
    await new Promise((resolve) => setImmediate(resolve))
    const outcomes = await Promise.all([outcomeOf(db.put('k', '1')), outcomeOf(db.get('k')), outcomeOf(db.checkpoint())])
    const closing = db.close()
    await restoring
    await closing
    for (const outcome of outcomes) expect(['CLOSED', 'ok']).toContain(outcome)
    expect(await second).toBe('CLOSED')
    expect(await outcomeOf(db.get('k'))).toBe('CLOSED')
  })

  test('an unknown checkpoint changes nothing', async () => {
    const db = await withCheckpoint()
    await db.put('k', '1')
    const snapshot = db.snapshot()
    expect(await outcomeOf(db.restore('unknown'))).toBe('INVALID')
    expect(await outcomeOf(db.restore(7 as unknown as string))).toBe('INVALID')
    expect(await textOf(db.get('k', { snapshot }))).toBe('1')
    snapshot.close()
    await db.close()
  })

  test('an owner that was taken over does not restore', async () => {
    const store = new MemoryObjectStore()
    const stale = await open({ store }, QUIET)
    await stale.put('k', 'old')
    await stale.checkpoint({ name: 'x' })
    const owner = await open({ store }, QUIET)
    await owner.put('k', 'new')
    expect(await outcomeOf(stale.restore('x'))).toBe('FENCED')
    expect(await outcomeOf(stale.put('k', 'no'))).toBe('FENCED')
    await owner.flush()
    expect(await contents(owner)).toEqual({ k: 'new' })
    await owner.close()
    await stale.close().catch(() => {})
  })
})

describe('pitfall 33: the log and a restore', () => {
  test('unflushed writes of the old state are not replayed, those after the restore are', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, logged())
    await db.put('k', 'checkpointed')
    await db.checkpoint({ name: 'x' })
    await db.put('k', 'given up')
    await db.put('other', 'given up')
    await db.restore('x')
    await db.put('new', 'kept')
    // Nothing was flushed since, and the process is gone without a word.
    const next = await open({ store }, logged())
    expect(await contents(next)).toEqual({ k: 'checkpointed', new: 'kept' })
    expect(await readdir(folder)).toEqual(['wal'])
    await next.close()
    expect(await outcomeOf(db.close())).toBe('FENCED')
  })

  test('cut off at every store call: before the commit the log continues the old state, after it nothing of it', async () => {
    for (const when of ['before', 'after'] as const) {
      const outcomes: string[] = []
      for (let call = 1; call <= 5; call++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, closeTimeoutMs: 0, ...localLog(join(folder, `${when}-${call}`)) }
        const setUp = await open({ store }, options)
        await setUp.put('k', 'checkpointed')
        await setUp.checkpoint({ name: 'x' })
        await setUp.close()
        // Opening takes four calls: list, get, put, list.
        const cut = new CutObjectStore(store, { call: 4 + call, when })
        const victim = await open({ store: cut }, options)
        await victim.put('k', 'unflushed')
        expect(cut.calls).toHaveLength(4)
        let resolved = false
        victim.restore('x').then(
          () => (resolved = true),
          () => {},
        )
        await cut.reached
        expect(resolved).toBe(false)
        const next = await open({ store }, options)
        outcomes.push((await contents(next))['k'] as string)
        await next.put('still', 'writable')
        await next.close()
        const again = await open({ store }, options)
        expect(await textOf(again.get('still'))).toBe('writable')
        await again.close()
        await victim.close().catch(() => {})
      }
      const [old, restored] = ['unflushed', 'checkpointed']
      expect(outcomes).toEqual(when === 'before' ? [old, old, old, old, restored] : [old, old, old, restored, restored])
    }
  })

  test('the process is gone between the commit and the change of the log: the next opening completes it', async () => {
    const store = new MemoryObjectStore()
    const options = logged()
    const db = await open({ store }, options)
    await db.put('k', 'checkpointed')
    await db.checkpoint({ name: 'x' })
    await db.put('k', 'unflushed')
    const wal = join(folder, 'wal')
    // Step by step of log-succession.ts: what lies on disk when the process ends there.
    await cp(wal, join(folder, 'old'), { recursive: true })
    await db.restore('x')
    await db.put('new', '1')
    await db.close()
    await cp(wal, join(folder, 'new'), { recursive: true })
    const states: Record<string, [from: string, to: string][]> = {
      'before the first renaming': [['old', 'wal'], ['new', 'wal.next']],
      'between the renamings': [['old', 'wal.discarded'], ['new', 'wal.next']],
      'before the deletion': [['old', 'wal.discarded'], ['new', 'wal']],
    }
    for (const [name, copies] of Object.entries(states)) {
      for (const gone of ['wal', 'wal.next', 'wal.discarded']) await rm(join(folder, gone), { recursive: true, force: true })
      for (const [from, to] of copies) await cp(join(folder, from), join(folder, to), { recursive: true })
      const next = await open({ store }, options)
      expect(await contents(next), name).toEqual({ k: 'checkpointed', new: '1' })
      expect(await readdir(folder), name).toEqual(['new', 'old', 'wal'])
      await next.close()
      await rm(join(folder, 'new'), { recursive: true })
      await cp(wal, join(folder, 'new'), { recursive: true })
    }
  })

  test('many restores leave nothing behind on disk', async () => {
    const db = await open({ store: new MemoryObjectStore() }, logged())
    await db.put('k', '1')
    await db.checkpoint({ name: 'x' })
    for (let round = 0; round < 5; round++) {
      await db.put('k', `round ${round}`)
      await db.restore('x')
      expect(await contents(db)).toEqual({ k: '1' })
    }
    expect(await readdir(folder)).toEqual(['wal'])
    await db.close()
  })
})
