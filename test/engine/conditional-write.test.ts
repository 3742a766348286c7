// Invariant: a conditional write is applied exactly when its condition holds at its place in the order of all writes, wherever
// the present value is and whatever happens while it is fetched; refused, it leaves no trace.
import { Deferred, type MoraineError, SeededRandom, systemClock } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type StoreFault } from '@moraine/object-store'
import { type Db, open, openReader, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET, SMALL, textOf } from './subject.ts'

const COLD: OpenOptions = { ...QUIET, blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 }

async function version(db: Db, key: string): Promise<number | undefined> {
  return (await db.getEntry(key))?.version
}

describe('getEntry', () => {
  test('gives the value and the sequence number of its write: in memory, in tables, at snapshots, in readers', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, COLD)
    await db.put('a', '1')
    await db.put('b', '1')
    const snapshot = db.snapshot()
    await db.put('a', '2')
    await db.delete('b')
    const shown = async (key: string, options?: Parameters<Db['getEntry']>[1]): Promise<unknown> => {
      const entry = await db.getEntry(key, options)
      return entry === undefined ? undefined : { ...entry, value: Buffer.from(entry.value).toString() }
    }
    for (const place of ['memory', 'tables', 'compacted']) {
      expect(await shown('a'), place).toEqual({ value: '2', version: 3 })
      expect(await shown('b'), place).toBeUndefined()
      expect(await shown('a', { snapshot }), place).toEqual({ value: '1', version: 1 })
      expect(await shown('b', { snapshot }), place).toEqual({ value: '1', version: 2 })
      await (place === 'memory' ? db.flush() : db.compact())
    }
    const reader = await openReader({ store })
    expect(await reader.getEntry('a')).toMatchObject({ version: 3 })
    expect(await reader.getEntry('b')).toBeUndefined()
    expect(await outcomeOf(reader.getEntry('a', { at: 1 } as never))).toBe('INVALID')
    await reader.close()
    expect(await outcomeOf(db.getEntry(7 as never))).toBe('INVALID')
    expect(await outcomeOf(db.getEntry('a', { signal: AbortSignal.abort() }))).toBe('ABORTED')
    snapshot.close()
    await db.close()
    expect(await outcomeOf(db.getEntry('a'))).toBe('CLOSED')
  })
})

describe('a condition', () => {
  const PLACES: Record<string, { options: OpenOptions; settle: (db: Db) => Promise<void> }> = {
    memory: { options: QUIET, settle: async () => {} },
    tables: { options: QUIET, settle: (db) => db.flush() },
    'cold tables': { options: COLD, settle: (db) => db.compact() },
  }
  for (const [place, { options, settle }] of Object.entries(PLACES)) {
    test(`holds or does not, values in ${place}`, async () => {
      const db = await open({ store: new MemoryObjectStore() }, options)
      await db.put('there', '1')
      await db.put('gone', '1')
      await db.delete('gone')
      await settle(db)
      const there = (await version(db, 'there')) as number

      await expect(db.put('there', '2', { ifAbsent: true })).rejects.toMatchObject({ code: 'CONFLICT', detail: { version: there } })
      await expect(db.put('there', '2', { ifVersion: there - 1 })).rejects.toMatchObject({ code: 'CONFLICT', detail: { version: there } })
      await expect(db.delete('there', { ifVersion: there + 1 })).rejects.toMatchObject({ code: 'CONFLICT', detail: { version: there } })
      const absent = await db.put('gone', '2', { ifVersion: there }).catch((error: MoraineError) => error)
      expect(absent).toMatchObject({ code: 'CONFLICT', detail: { version: undefined }, message: expect.stringContaining("'gone' is absent") as string })
      expect(await outcomeOf(db.delete('never there', { ifVersion: 1 }))).toBe('CONFLICT')
      expect(db.stats().lastSequence).toBe(3)

      await db.put('gone', '3', { ifAbsent: true })
      await db.put('new', '3', { ifAbsent: true })
      await db.put('there', '3', { ifVersion: there })
      expect(await contents(db)).toEqual({ gone: '3', new: '3', there: '3' })
      await settle(db)
      await db.delete('there', { ifVersion: (await version(db, 'there')) as number })
      await db.put('new', '4', { ifAbsent: false })
      expect(await contents(db)).toEqual({ gone: '3', new: '4' })
      expect(db.stats().transactions.windowBytes).toBe(0)
      await db.close()
    })
  }

  test('bad ones are INVALID before anything is written', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await expect(db.put('x', '1', { ifAbsent: true, ifVersion: 1 })).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('not both') as string })
    for (const options of [{ ifVersion: -1 }, { ifVersion: 1.5 }, { ifVersion: '1' }, { ifAbsent: 'yes' }, { ifPresent: true }]) {
      expect(await outcomeOf(db.put('x', '1', options as never))).toBe('INVALID')
    }
    for (const options of [{ ifAbsent: true }, { ifVersion: Number.NaN }]) expect(await outcomeOf(db.delete('x', options as never))).toBe('INVALID')
    expect(await outcomeOf(db.put('x', 7 as never, { ifAbsent: true }))).toBe('INVALID')
    expect(await outcomeOf(db.put('x', '1', { ifAbsent: true, signal: AbortSignal.abort() }))).toBe('ABORTED')
    expect(db.stats().lastSequence).toBe(0)
    await db.close()
  })

  test('it is logged and acknowledged like any other write', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...QUIET, wal: 'object-store' })
    await db.put('x', '1', { ifAbsent: true })
    await db.put('y', '1', { ifAbsent: true, durability: 'store' })
    await db.put('y', '2', { ifVersion: 2 })
    expect(db.stats().durableSequence).toBe(3)
    const next = await open({ store }, { ...QUIET, wal: 'object-store' })
    expect(await contents(next)).toEqual({ x: '1', y: '2' })
    await next.close()
    await db.close().catch(() => {})
  })
})

describe('conditional writes at the same time', () => {
  for (const [place, options] of [['memory', QUIET], ['cold tables', COLD]] as const) {
    test(`of a hundred that want the key absent exactly one wins, ${place}`, async () => {
      const db = await open({ store: new MemoryObjectStore() }, options)
      await db.put('before', '1')
      await db.delete('contested')
      await db.flush()
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) => db.put('contested', String(i), { ifAbsent: true }).then(() => i, (error: MoraineError) => error)),
      )
      const [winner, ...others] = outcomes.filter((outcome) => typeof outcome === 'number')
      expect(others).toEqual([])
      expect(await textOf(db.get('contested'))).toBe(String(winner))
      const won = await version(db, 'contested')
      for (const outcome of outcomes) {
        if (typeof outcome !== 'number') expect(outcome).toMatchObject({ code: 'CONFLICT', detail: { version: won } })
      }
      await db.close()
    })

    test(`increments by compare and set lose none, ${place}`, async () => {
      const db = await open({ store: new MemoryObjectStore() }, { ...options, ...(place === 'memory' ? {} : SMALL) })
      await db.put('counter', '0')
      const increment = async (): Promise<void> => {
        for (;;) {
          const entry = await db.getEntry('counter')
          const next = String(Number(Buffer.from(entry?.value ?? []).toString()) + 1)
          if ((await outcomeOf(db.put('counter', next, { ifVersion: entry?.version ?? 0 }))) === 'ok') return
        }
      }
      await Promise.all(
        Array.from({ length: 8 }, async (_, lane) => {
          for (let i = 0; i < 20; i++) {
            await increment()
            if (lane === 0 && i % 4 === 0) await db.flush()
          }
        }),
      )
      expect(await textOf(db.get('counter'))).toBe('160')
      expect(db.stats().transactions.windowBytes).toBe(0)
      await db.close()
    })
  }

  test('it is decided anew when the key is written while its present value is fetched', async () => {
    const cases: Record<string, { meanwhile: (db: Db) => Promise<void>; ifAbsent: string; ifVersion: string }> = {
      nothing: { meanwhile: async () => {}, ifAbsent: 'CONFLICT', ifVersion: 'ok' },
      'another key': { meanwhile: (db) => db.put('other', '1'), ifAbsent: 'CONFLICT', ifVersion: 'ok' },
      'a put': { meanwhile: (db) => db.put('key', 'newer'), ifAbsent: 'CONFLICT', ifVersion: 'CONFLICT' },
      'a delete': { meanwhile: (db) => db.delete('key'), ifAbsent: 'ok', ifVersion: 'CONFLICT' },
      'a delete that left memory': {
        meanwhile: async (db) => {
          await db.delete('key')
          await db.flush()
        },
        ifAbsent: 'ok',
        ifVersion: 'CONFLICT',
      },
    }
    for (const [what, wanted] of Object.entries(cases)) {
      for (const condition of ['ifAbsent', 'ifVersion'] as const) {
        const gate = new Deferred<void>()
        let shut = false
        const plan = (operation: string, key: string): StoreFault | undefined =>
          shut && operation === 'get' && key.startsWith('sst/') ? { kind: 'delay', until: gate.promise } : undefined
        const db = await open({ store: new FaultyObjectStore(new MemoryObjectStore(), plan, { clock: systemClock }) }, COLD)
        await db.put('key', 'old')
        await db.flush()
        shut = true
        const write = outcomeOf(db.put('key', 'mine', condition === 'ifAbsent' ? { ifAbsent: true } : { ifVersion: 1 }))
        await wanted.meanwhile(db)
        shut = false
        gate.resolve()
        expect(await write, `${condition}, meanwhile ${what}`).toBe(wanted[condition])
        expect((await textOf(db.get('key'))) === 'mine').toBe(wanted[condition] === 'ok')
        expect(db.stats()).toMatchObject({ transactions: { windowBytes: 0 }, snapshots: 0 })
        await db.close()
      }
    }
  })

  test('an abort while the present value is fetched gives it up; so does close', async () => {
    for (const end of ['abort', 'close'] as const) {
      const gate = new Deferred<void>()
      let shut = false
      const plan = (operation: string, key: string): StoreFault | undefined =>
        shut && operation === 'get' && key.startsWith('sst/') ? { kind: 'delay', until: gate.promise } : undefined
      const store = new MemoryObjectStore()
      const db = await open({ store: new FaultyObjectStore(store, plan, { clock: systemClock }) }, COLD)
      await db.put('key', 'old')
      await db.flush()
      shut = true
      const abort = new AbortController()
      const write = outcomeOf(db.put('key', 'mine', { ifVersion: 1, signal: abort.signal }))
      if (end === 'abort') {
        abort.abort()
        expect(await write).toBe('ABORTED')
        gate.resolve()
        await db.close()
      } else {
        const closing = db.close()
        gate.resolve()
        expect(await write).toBe('CLOSED')
        await closing
      }
      const again = await open({ store }, QUIET)
      expect(await contents(again)).toEqual({ key: 'old' })
      await again.close()
    }
  })

  test('behind writes that are held back it is decided in its turn, and an abort before that removes it', async () => {
    const gate = new Deferred<void>()
    let shut = false
    const plan = (operation: string): StoreFault | undefined => (shut && operation === 'put' ? { kind: 'delay', until: gate.promise } : undefined)
    const store = new FaultyObjectStore(new MemoryObjectStore(), plan, { clock: systemClock })
    const db = await open({ store }, { ...QUIET, maxSealedMemtables: 1 })
    shut = true
    const filling: Promise<void>[] = []
    while (db.stats().writes.held < 1) filling.push(db.put(`filling-${filling.length}`, 'x'.repeat(150_000)))
    const before = db.put('taken', 'first')
    const late = outcomeOf(db.put('taken', 'second', { ifAbsent: true }))
    const early = outcomeOf(db.put('free', 'first', { ifAbsent: true }))
    const abort = new AbortController()
    const aborted = outcomeOf(db.put('other', 'aborted', { ifAbsent: true, signal: abort.signal }))
    const after = outcomeOf(db.put('free', 'second', { ifAbsent: true }))
    abort.abort()
    expect(await aborted).toBe('ABORTED')
    expect(await contents(db, { lt: 'filling', reverse: true })).toEqual({})
    shut = false
    gate.resolve()
    await Promise.all([...filling, before])
    expect(await Promise.all([late, early, after])).toEqual(['CONFLICT', 'ok', 'CONFLICT'])
    expect(await contents(db, { gte: 'fr' })).toEqual({ free: 'first', taken: 'first' })
    await db.close()
  })

  test('many keys, many kinds, many places: what was said to be written is what is there', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed)
      const db = await open({ store: new MemoryObjectStore() }, { ...SMALL, blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 })
      // For each key the chain of values: a conditional put names the one it replaces.
      const accepted = new Map<string, { value: string; over: string | undefined }[]>()
      const lane = async (name: number): Promise<void> => {
        for (let i = 0; i < 25; i++) {
          const key = `k${random.below(4)}`
          const value = `${name}:${i}`
          const entry = await db.getEntry(key)
          const options = entry === undefined ? { ifAbsent: true } : { ifVersion: entry.version }
          if ((await outcomeOf(db.put(key, value, options))) === 'ok') {
            const over = entry === undefined ? undefined : Buffer.from(entry.value).toString()
            accepted.set(key, [...(accepted.get(key) ?? []), { value, over }])
          }
          if (random.chance(0.1)) await db.flush()
        }
      }
      await Promise.all([0, 1, 2, 3].map(lane))
      for (const [key, writes] of accepted) {
        const overOf = new Map(writes.map(({ value, over }) => [value, over]))
        const replaced = new Set(writes.map(({ over }) => over))
        // No value was replaced twice, so the chain back from the present value is every write.
        expect(replaced.size).toBe(writes.length)
        let length = 0
        for (let at = await textOf(db.get(key)); at !== undefined; at = overOf.get(at)) length++
        expect(length, `seed ${seed}, ${key}`).toBe(writes.length)
      }
      await db.close()
    }
  })
})
