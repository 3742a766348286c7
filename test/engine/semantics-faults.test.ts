// Invariant: with range deletes, merges, expiry and keyspaces, too, a process may die at any of its store calls and loses
// nothing that was acknowledged and no part of a batch; and damage gives an error or the right answer, never a wrong one.
import { isMoraineError } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore, ManualWallClock, ModelDatabase, type ModelOperation, writeAsBatch } from '@moraine/testing'
import { append, counter, counterBytes, type Db, open, type OpenOptions } from 'moraine'
import { describe, expect, test } from 'vitest'
import { QUIET } from './subject.ts'

const NOW_MS = 1_700_000_000_000
const LATER_MS = NOW_MS + 5_000
const KEYSPACES = ['', 'counts', 'short']

const OPTIONS: OpenOptions = {
  ...QUIET,
  wal: 'object-store',
  closeTimeoutMs: 1_000,
  mergeOperator: append,
  keyspaces: { counts: { mergeOperator: counter }, short: { ttlMs: 60_000 } },
}

const one = Buffer.from(counterBytes(1)).toString('latin1')
const number = (text: string): bigint => Buffer.from(text, 'latin1').readBigInt64LE()
const modelOf = (): ModelDatabase =>
  new ModelDatabase([
    { name: '', operator: (base, operand) => (base ?? '') + operand },
    { name: 'counts', operator: (base, operand) => Buffer.from(counterBytes((base === undefined ? 0n : number(base)) + number(operand))).toString('latin1') },
    { name: 'short', ttlMs: 60_000 },
  ])

/** Batches of everything, over keys that earlier ones have written. */
function batches(from: number): ModelOperation[][] {
  return Array.from({ length: 3 }, (_, round): ModelOperation[] => {
    const n = from + round
    return [
      ...['a', 'b', 'c', 'd', 'e', 'f'].map((key): ModelOperation => ({ kind: 'put', key: `${key}${n % 4}`, value: `${n}` })),
      { kind: 'merge', key: 'a1', value: `+${n}` },
      { kind: 'merge', key: 'm', value: `-${n}`, ...(n % 2 === 0 && { ttlMs: 4_000 }) },
      { kind: 'merge', keyspace: 'counts', key: 'n', value: one },
      { kind: 'put', keyspace: 'short', key: `s${n}`, value: 'x'.repeat(200), ttlMs: n % 3 === 0 ? 4_000 : 90_000 },
      { kind: 'put', keyspace: 'short', key: 's', value: `${n}` },
      { kind: 'deleteRange', gte: `b${n % 3}`, lt: `d${n % 2}` },
      { kind: 'put', key: 'c0', value: `after ${n}` },
      { kind: 'deleteRange', keyspace: 'short', gte: `s${Math.max(0, n - 2)}`, lt: `s${Math.max(1, n - 1)}` },
      { kind: 'delete', key: 'f0' },
    ]
  })
}

async function contentsOf(db: Db): Promise<string[]> {
  const found: string[] = []
  for (const name of KEYSPACES) {
    for await (const [key, value] of (name === '' ? db : db.keyspace(name)).scan()) {
      found.push(`${name}/${Buffer.from(key).toString('latin1')}=${Buffer.from(value).toString('latin1')}`)
    }
  }
  return found
}

function wanted(model: ModelDatabase, sequence: number): string[] {
  return KEYSPACES.flatMap((name) => model.scan(name, {}, { sequence, timeMs: LATER_MS }).map(([key, value]) => `${name}/${key}=${value}`))
}

describe('pitfall 20: a process that dies at any of its store calls, with writes of all kinds', () => {
  test.each(['before', 'after'] as const)('%s the call', async (when) => {
    let cuts = 0
    for (let call = 1; ; call++) {
      const store = new MemoryObjectStore()
      const clock = new ManualWallClock(NOW_MS)
      const model = modelOf()
      const ends = [0]
      let acknowledged = 0
      const life = async (db: Db, from: number): Promise<void> => {
        for (const operations of batches(from)) {
          const written = writeAsBatch(db, operations)
          model.apply(operations, NOW_MS)
          ends.push(model.lastSequence)
          const end = model.lastSequence
          await written
          acknowledged = end
          if (from > 0) await db.flush()
        }
        if (from > 0) await db.compact()
      }
      const first = await open({ store }, { ...OPTIONS, clock })
      await life(first, 0)
      await first.close()
      const mortal = new CutObjectStore(store, { call, when })
      const opening = open({ store: mortal }, { ...OPTIONS, clock })
      const living = opening.then((db) => life(db, 3))
      living.catch(() => {})
      const ended = await Promise.race([living.then(() => true), mortal.reached.then(() => false)])
      clock.set(LATER_MS)
      const db = await open({ store }, { ...OPTIONS, clock })
      const { lastSequence } = db.stats()
      expect(lastSequence, `cut ${when} call ${call}`).toBeGreaterThanOrEqual(acknowledged)
      expect(ends, `cut ${when} call ${call}`).toContain(lastSequence)
      expect(await contentsOf(db), `cut ${when} call ${call}`).toEqual(wanted(model, lastSequence))
      await db.compact()
      expect(await contentsOf(db), `cut ${when} call ${call}, compacted`).toEqual(wanted(model, lastSequence))
      await db.close()
      mortal.bury()
      await opening.then((dead) => dead.close()).catch(() => {})
      if (ended) break
      cuts++
    }
    expect(cuts).toBeGreaterThan(20)
  })
})

describe('pitfall 16: a flipped byte, with tables and manifests of all kinds', () => {
  test.each(['manifest', 'sst', 'wal'])('in any %s object gives an error or the right answer', async (kind) => {
    const clock = new ManualWallClock(NOW_MS)
    const store = new MemoryObjectStore()
    const model = modelOf()
    const db = await open({ store }, { ...OPTIONS, clock })
    for (const operations of [...batches(0), ...batches(3)]) {
      await writeAsBatch(db, operations)
      model.apply(operations, NOW_MS)
      if (model.lastSequence < 60) await db.flush()
    }
    clock.set(LATER_MS)
    const right = wanted(model, model.lastSequence)
    expect(await contentsOf(db)).toEqual(right)
    const objects = new Map<string, Uint8Array>()
    for (const { key } of (await store.list('')).objects) objects.set(key, (await store.get(key))?.bytes ?? new Uint8Array())
    let errors = 0
    for (const [name, bytes] of objects) {
      if (!name.startsWith(kind)) continue
      const stride = Math.max(1, Math.floor(bytes.length / 70))
      for (let at = 0; at < bytes.length; at += stride) {
        const flipped = bytes.slice()
        flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
        const damaged = new MemoryObjectStore()
        for (const [key, whole] of objects) await damaged.put(key, key === name ? flipped : whole)
        try {
          const opened = await open({ store: damaged }, { ...OPTIONS, clock })
          try {
            const found = await contentsOf(opened)
            // The end of the log may be torn: what is left is a whole number of batches.
            const { lastSequence } = opened.stats()
            expect(found, `${name} byte ${at}`).toEqual(kind === 'wal' ? wanted(model, lastSequence) : right)
          } finally {
            await opened.close().catch(() => {})
          }
        } catch (error) {
          if (!isMoraineError(error) || error.code === 'INTERNAL') throw error
          errors++
        }
      }
    }
    expect(errors).toBeGreaterThan(20)
    await db.close()
  })
})
