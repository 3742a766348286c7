// Invariant: a write is acknowledged when it is as durable as was asked for, whatever its size and shape; writes take effect
// in the order of their calls, and a batch takes effect at once.
import { utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore } from '@moraine/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, outcomeOf, QUIET, SMALL, textOf } from './subject.ts'

let folder: string
let graves: Db[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-durability-'))
  graves = []
})
afterEach(async () => {
  for (const db of graves) await db.close().catch(() => {})
  await rm(folder, { recursive: true, force: true })
})

/** What is left of a life after its process was killed, when its last act is over. */
async function afterDeath(options: OpenOptions, life: (db: Db) => Promise<void>): Promise<Record<string, string>> {
  const store = new MemoryObjectStore()
  const mortal = new MortalObjectStore(store)
  const db = await open({ store: mortal }, { ...options, closeTimeoutMs: 1 })
  graves.push(db)
  await life(db)
  mortal.kill()
  const next = await open({ store }, options)
  const left = await contents(next)
  await next.close()
  return left
}

describe('what a killed process leaves', () => {
  test('without a log: what asked for the store, and all that was written before it', async () => {
    const left = await afterDeath(QUIET, async (db) => {
      await db.put('a', 'memory', { durability: 'memory' })
      await db.put('b', 'log', { durability: 'log' })
      await db.put('c', 'store', { durability: 'store' })
      await db.put('d', 'later')
    })
    expect(left).toEqual({ a: 'memory', b: 'log', c: 'store' })
  })

  test('with a local log: everything that was acknowledged by it, in one order', async () => {
    const left = await afterDeath({ ...QUIET, ...localLog(join(folder, 'wal')) }, async (db) => {
      void db.put('a', 'memory', { durability: 'memory' })
      await db.put('b', 'log')
      void db.put('c', 'never awaited', { durability: 'memory' })
      await db.put('b', 'log again', { durability: 'log' })
    })
    expect(left).toEqual({ a: 'memory', b: 'log again', c: 'never awaited' })
  })

  test('puts to one key that nobody awaits apply in the order of their calls, held back or not', async () => {
    for (const options of [QUIET, { ...QUIET, ...localLog(join(folder, 'wal')) }, { ...SMALL, maxSealedMemtables: 1 }]) {
      const db = await open({ store: new MemoryObjectStore() }, options)
      const filler = 'x'.repeat(20_000)
      const done: Promise<void>[] = []
      for (let i = 0; i < 60; i++) {
        done.push(db.put('key', `${i}`), db.put(`filler ${i}`, filler))
        if (i % 3 === 0) done.push(db.delete('key'))
      }
      await Promise.all(done)
      expect(await textOf(db.get('key'))).toBe('59')
      await db.close()
      await rm(join(folder, 'wal'), { recursive: true, force: true })
    }
  })

  test('many writers that ask for the store share flushes', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await Promise.all(Array.from({ length: 200 }, (_, i) => db.put(`k${i}`, String(i), { durability: 'store' })))
    expect(db.stats().files).toBeLessThanOrEqual(3)
    expect(db.stats().flushedSequence).toBe(200)
    await db.close()
  })

  test('puts in one tick with close are acknowledged and there, or refused and not', async () => {
    for (const options of [QUIET, { ...QUIET, ...localLog(join(folder, 'wal')) }]) {
      const store = new MemoryObjectStore()
      const db = await open({ store }, options)
      const before = [
        outcomeOf(db.put('a', '1')),
        outcomeOf(db.put('b', '2', { durability: 'store' })),
        outcomeOf(db.put('c', '3', { durability: 'memory' })),
      ]
      const closing = db.close()
      const after = outcomeOf(db.put('d', '4'))
      expect(await Promise.all(before)).toEqual(['ok', 'ok', 'ok'])
      expect(await after).toBe('CLOSED')
      await closing
      const again = await open({ store }, options)
      expect(await contents(again)).toEqual({ a: '1', b: '2', c: '3' })
      await again.close()
    }
  })
})

describe('writes of every shape', () => {
  for (const kind of ['none', 'local'] as const) {
    const options = (): OpenOptions => (kind === 'none' ? QUIET : { ...QUIET, ...localLog(join(folder, 'wal')) })

    test(`empty keys, empty values, the longest key, all bytes (log: ${kind})`, async () => {
      const store = new MemoryObjectStore()
      const every = Uint8Array.from({ length: 256 }, (_, i) => i)
      const long = new Uint8Array(65_535).fill(0xff)
      const entries: [Uint8Array, Uint8Array][] = [
        [new Uint8Array(0), every],
        [every, new Uint8Array(0)],
        [long, long],
        [long.slice(0, -1), every],
        [new Uint8Array([0]), every],
        [new Uint8Array([0, 0]), new Uint8Array(0)],
      ]
      let db = await open({ store }, options())
      for (const [key, value] of entries) await db.put(key, value)
      for (const stage of ['in memory', 'flushed', 'compacted', 'reopened']) {
        if (stage === 'flushed') await db.flush()
        if (stage === 'compacted') await db.compact()
        if (stage === 'reopened') {
          await db.close()
          db = await open({ store }, options())
        }
        for (const [key, value] of entries) expect(Buffer.compare((await db.get(key)) as Uint8Array, value), stage).toBe(0)
        let count = 0
        for await (const [key, value] of db.scan()) {
          expect(entries.some(([k, v]) => Buffer.compare(k, key) === 0 && Buffer.compare(v, value) === 0)).toBe(true)
          count++
        }
        expect(count).toBe(entries.length)
        const last: Uint8Array[] = []
        for await (const [key] of db.scan({ reverse: true, limit: 2 })) last.push(key)
        expect(last.map((key) => key.length)).toEqual([65_535, 65_534])
      }
      for (const [key] of entries) await db.delete(key)
      await db.compact()
      expect(await contents(db)).toEqual({})
      await db.close()
    })

    test(`a value of 64 MiB, replayed, flushed, compacted and scanned (log: ${kind})`, async () => {
      const store = new MemoryObjectStore()
      const huge = new Uint8Array(64 * 1024 * 1024)
      for (let i = 0; i < huge.length; i += 4093) huge[i] = i & 0xff
      const mortal = new MortalObjectStore(store)
      const first = await open({ store: mortal }, { ...options(), closeTimeoutMs: 1 })
      await first.put('before', '1')
      await first.put('huge', huge)
      await first.put('later', '2')
      if (kind === 'none') await first.flush()
      mortal.kill()
      graves.push(first)
      const db = await open({ store }, options())
      expect(Buffer.compare((await db.get('huge')) ?? new Uint8Array(), huge)).toBe(0)
      await db.put('huge', huge)
      await db.compact()
      for await (const [key, value] of db.scan({ prefix: 'h' })) {
        expect(utf8Decode(key)).toBe('huge')
        expect(Buffer.compare(value, huge)).toBe(0)
      }
      expect(await textOf(db.get('later'))).toBe('2')
      await db.close()
    })

    test(`bytes that the caller changes right after the call do not change what was written (log: ${kind})`, async () => {
      const store = new MemoryObjectStore()
      const mortal = new MortalObjectStore(store)
      const db = await open({ store: mortal }, { ...options(), closeTimeoutMs: 1 })
      graves.push(db)
      const key = new TextEncoder().encode('key')
      const value = new TextEncoder().encode('value')
      const batch = new WriteBatch().put('in', 'batch').put(key, value)
      const done = [db.put(key, value), db.write(batch)]
      batch.clear().put('other', 'batch')
      key.fill(120)
      value.fill(120)
      await Promise.all(done)
      expect(await contents(db)).toEqual({ in: 'batch', key: 'value' })
      if (kind === 'none') await db.flush()
      mortal.kill()
      const next = await open({ store }, options())
      expect(await contents(next)).toEqual({ in: 'batch', key: 'value' })
      await next.close()
    })
  }

  test('a batch wins over itself in order, an empty batch does nothing, a batch may be written twice', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const batch = new WriteBatch().put('a', '1').delete('a').put('a', '2').put('b', '1').delete('b')
    await db.write(batch)
    await db.write(new WriteBatch())
    expect(db.stats().lastSequence).toBe(5)
    await db.put('a', '3')
    await db.write(batch)
    expect(await contents(db)).toEqual({ a: '2' })
    await db.flush()
    expect(await contents(db)).toEqual({ a: '2' })
    await db.close()
  })
})
