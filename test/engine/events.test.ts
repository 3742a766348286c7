// Invariant: the events of a database say what happened, with figures that add up; a listener cannot disturb the database.
import { MemoryObjectStore } from '@moraine/object-store'
import { open } from 'moraine'
import { describe, expect, test, vi } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET } from './subject.ts'

describe('events', () => {
  test('flush: entries, sizes, files and the sequence number', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const flushes: Record<string, unknown>[] = []
    db.on('flush', (report) => flushes.push({ ...report }))
    await putAll(db, numbered(0, 100))
    await db.flush()
    expect(flushes).toHaveLength(1)
    expect(flushes[0]).toMatchObject({ entries: 100, flushedSeq: 100, fileBytes: db.stats().sizeBytes })
    expect(flushes[0]?.['files']).toHaveLength(1)
    expect(flushes[0]?.['memtableBytes']).toBeGreaterThan(100 * 30)
    for (const name of ['buildMs', 'uploadMs', 'commitMs']) expect(flushes[0]?.[name]).toBeGreaterThanOrEqual(0)
    await db.flush()
    expect(flushes).toHaveLength(1)
    await db.close()
  })

  test('compaction: inputs and outputs agree with the tree', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    for (let round = 0; round < 3; round++) {
      await putAll(db, numbered(0, 100))
      await db.flush()
    }
    const before = db.stats()
    const compactions: Record<string, unknown>[] = []
    db.on('compaction', (report) => compactions.push({ ...report }))
    await db.compact()
    const after = db.stats()
    expect(compactions[0]).toMatchObject({
      inputFiles: 3,
      inputBytes: before.sizeBytes,
      inputEntries: 300,
      outputEntries: 100,
      outputBytes: after.sizeBytes,
    })
    await db.close()
  })

  test('a listener that throws does no harm: its error is thrown on its own, the others are called', async () => {
    const thrown: unknown[] = []
    const queue = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => {
      try {
        task()
      } catch (error) {
        thrown.push(error)
      }
    })
    try {
      const db = await open({ store: new MemoryObjectStore() }, QUIET)
      const heard: string[] = []
      for (const name of ['flush', 'compaction'] as const) {
        db.on(name, () => {
          throw new Error(`listener of ${name}`)
        })
        db.on(name, () => heard.push(name))
      }
      await db.put('a', '1', { durability: 'store' })
      await db.put('a', '2', { durability: 'store' })
      await db.compact()
      expect(heard).toEqual(expect.arrayContaining(['flush', 'flush', 'compaction']))
      expect(thrown.length).toBe(heard.length)
      expect(await contents(db)).toEqual({ a: '2' })
      await db.close()
    } finally {
      queue.mockRestore()
    }
  })

  test('a listener may write, read, stop listening and close', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    const done: Promise<unknown>[] = []
    const off = db.on('flush', () => {
      off()
      done.push(db.put('from', 'listener'), contents(db), db.close())
    })
    await db.put('a', '1')
    const flushed = outcomeOf(db.flush())
    expect(['ok', 'CLOSED']).toContain(await flushed)
    await Promise.allSettled(done)
    const again = await open({ store }, QUIET)
    expect(await contents(again)).toEqual({ a: '1', from: 'listener' })
    await again.close()
  })

  test('unknown names and things that are not functions are INVALID', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    expect(() => db.on('flushed' as 'flush', () => {})).toThrow(/there is no event 'flushed'.*flush, compaction/)
    expect(() => db.on('flush', 'log' as never)).toThrow(/function/)
    await db.close()
  })
})
