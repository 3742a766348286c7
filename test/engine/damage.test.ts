// Invariant: damage anywhere in the bucket gives an error that names the object, or the right answer: never a wrong one.
// What is not damaged stays readable.
import { isMoraineError, utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { type Db, open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

const OPTIONS: OpenOptions = { ...QUIET, closeTimeoutMs: 1_000 }

/** A small database with level 0, deeper levels, deletions and several versions; and what it holds. */
async function smallDatabase(): Promise<{ store: MemoryObjectStore; expected: Record<string, string> }> {
  const store = new MemoryObjectStore()
  const db = await open({ store }, OPTIONS)
  await putAll(db, numbered(0, 60, 40))
  await db.compact()
  await putAll(db, numbered(20, 40, 30))
  await db.delete('key-000003')
  await db.flush()
  await db.put('key-000001', 'newest')
  await db.flush()
  const expected = await contents(db)
  await db.close()
  return { store, expected }
}

async function copyOf(store: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore()
  for (const { key } of (await store.list('')).objects) await copy.put(key, await bytesOf(store, key))
  return copy
}

async function bytesOf(store: MemoryObjectStore, key: string): Promise<Uint8Array> {
  return (await store.get(key))?.bytes ?? new Uint8Array()
}

async function keysOf(store: MemoryObjectStore, prefix = ''): Promise<string[]> {
  return (await store.list(prefix)).objects.map(({ key }) => key)
}

/** Reads everything in every way; an answer must be right, an error must be one of ours. Gives the number of errors. */
async function rightOrRefused(store: MemoryObjectStore, expected: Record<string, string>, what: string): Promise<number> {
  let errors = 0
  const refused = (error: unknown): void => {
    if (!isMoraineError(error) || error.code === 'INTERNAL') throw error
    errors++
  }
  let db: Db
  try {
    db = await open({ store }, OPTIONS)
  } catch (error) {
    refused(error)
    return errors
  }
  for (const key of ['key-000001', 'key-000003', 'key-000025', 'key-000059', 'nothing']) {
    try {
      const found = await textOf(db.get(key))
      if (found !== expected[key]) throw new Error(`${what}: get(${key}) gave ${found}`)
    } catch (error) {
      refused(error)
    }
  }
  for (const reverse of [false, true]) {
    const seen: Record<string, string> = {}
    try {
      for await (const [key, value] of db.scan({ reverse })) seen[utf8Decode(key)] = utf8Decode(value)
      expect(seen, what).toEqual(expected)
    } catch (error) {
      refused(error)
      // What a scan gave before it met the damage must be right, too.
      for (const [key, value] of Object.entries(seen)) expect(value, `${what}: ${key}`).toBe(expected[key])
    }
  }
  await db.close().catch(refused)
  return errors
}

describe('pitfall 16: a flipped byte', () => {
  for (const kind of ['identity', 'manifest', 'sst']) {
    test(`in any ${kind} object gives an error or the right answer`, async () => {
      const { store, expected } = await smallDatabase()
      let errors = 0
      for (const key of await keysOf(store, kind)) {
        const bytes = await bytesOf(store, key)
        const stride = Math.max(1, Math.floor(bytes.length / 60))
        for (let at = 0; at < bytes.length; at += stride) {
          const damaged = await copyOf(store)
          const flipped = bytes.slice()
          flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
          await damaged.put(key, flipped)
          errors += await rightOrRefused(damaged, expected, `${key} byte ${at}`)
        }
      }
      // The identity is only read at the creation; the others are read by every one of these.
      if (kind !== 'identity') expect(errors).toBeGreaterThan(20)
    })
  }

  test('in the identity of a half-created database is CORRUPTION, not a second database', async () => {
    const { store } = await smallDatabase()
    const half = new MemoryObjectStore()
    const bytes = await bytesOf(store, 'identity')
    for (let at = 0; at < bytes.length - 1; at++) {
      const flipped = bytes.slice()
      flipped[at] = (flipped[at] as number) ^ 0x04
      await half.put('identity', flipped)
      expect(await outcomeOf(open({ store: half }, OPTIONS)), `byte ${at}`).toBe('CORRUPTION')
    }
  })

  test('objects cut short or longer than they were are seen', async () => {
    const { store, expected } = await smallDatabase()
    for (const key of [...(await keysOf(store, 'sst/')), (await keysOf(store, 'manifest/'))[0] as string]) {
      const bytes = await bytesOf(store, key)
      for (const changed of [bytes.slice(0, -1), bytes.slice(0, bytes.length >> 1), new Uint8Array(0), new Uint8Array([...bytes, 0])]) {
        const damaged = await copyOf(store)
        await damaged.put(key, changed)
        expect(await rightOrRefused(damaged, expected, `${key}, ${changed.length} bytes`)).toBeGreaterThan(0)
      }
    }
  })

  test('two tables that changed places are seen, whichever two', async () => {
    const { store, expected } = await smallDatabase()
    const tables = await keysOf(store, 'sst/')
    expect(tables.length).toBeGreaterThan(2)
    for (const one of tables) {
      for (const other of tables) {
        if (one >= other) continue
        const damaged = await copyOf(store)
        await damaged.put(one, await bytesOf(store, other))
        await damaged.put(other, await bytesOf(store, one))
        expect(await rightOrRefused(damaged, expected, `${one} and ${other}`)).toBeGreaterThan(0)
      }
    }
  })

  test('a manifest under the number of another one is seen', async () => {
    const { store } = await smallDatabase()
    const [newest, older] = await keysOf(store, 'manifest/')
    await store.put(newest as string, await bytesOf(store, older as string))
    await expect(open({ store }, OPTIONS)).rejects.toMatchObject({ code: 'CORRUPTION', message: expect.stringContaining(newest as string) as string })
  })
})

describe('pitfall 19: a table that is gone', () => {
  test('the error names file and keys; everything else is still there', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...OPTIONS, targetFileSizeBytes: 4 * 1024, compression: 'none' })
    await putAll(db, numbered(0, 400, 60))
    await db.flush()
    await putAll(db, numbered(0, 400, 60))
    await db.compact()
    await db.close()
    const tables = await keysOf(store, 'sst/')
    expect(tables.length).toBeGreaterThan(3)
    const lost = tables[1] as string
    await store.delete(lost)

    const again = await open({ store }, OPTIONS)
    let missing = 0
    for (const [key, value] of numbered(0, 400, 60)) {
      try {
        expect(await textOf(again.get(key))).toBe(value)
      } catch (error) {
        expect(error).toMatchObject({ code: 'CORRUPTION', detail: { file: lost }, message: expect.stringMatching(/key-\d+.*key-\d+/s) as string })
        missing++
      }
    }
    expect(missing).toBeGreaterThan(10)
    expect(missing).toBeLessThan(200)
    expect(await outcomeOf(contents(again))).toBe('CORRUPTION')
    // Restored, it is as if nothing had been.
    await again.put('new', 'write', { durability: 'store' })
    expect(await textOf(again.get('new'))).toBe('write')
    await again.close()
  })

  test('a compaction that needs it does not take the readable rest of the database down', async () => {
    const store = new MemoryObjectStore()
    const first = await open({ store }, OPTIONS)
    await first.put('a', 'deep')
    await first.compact()
    const [lost] = await keysOf(store, 'sst/')
    for (let round = 0; round < 4; round++) {
      await first.put('a', String(round))
      await first.put('b', String(round))
      await first.flush()
    }
    await first.close()
    const bytes = await bytesOf(store, lost as string)
    await store.delete(lost as string)

    const db = await open({ store }, { ...SMALL, closeTimeoutMs: 1_000 })
    const errors: string[] = []
    const failed = new Promise<void>((resolve) => {
      db.on('error', ({ error }) => {
        errors.push(error.code)
        resolve()
      })
    })
    await failed
    expect(errors).toContain('CORRUPTION')
    expect(await textOf(db.get('b'))).toBe('3')
    await db.put('c', 'written', { durability: 'store' })
    await store.put(lost as string, bytes)
    await db.close()
    const again = await open({ store }, SMALL)
    expect(await contents(again)).toEqual({ a: '3', b: '3', c: 'written' })
    await again.close()
  })
})
