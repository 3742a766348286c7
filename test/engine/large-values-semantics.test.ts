// Invariant: merges, expiry, range deletes, keyspaces and filters treat a value in a blob file as they treat one in a table,
// before and after compaction, read forwards, backwards, one by one and many at once.
import { SeededRandom, utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore, SimulatedClock } from '@moraine/testing'
import { append, collectGarbage, type Db, open, type OpenOptions, verify } from 'moraine'
import { describe, expect, test } from 'vitest'
import { dataIn, dataOf, namesIn, newestOf } from './bucket.ts'
import { contents, numbered, putAll, QUIET, textOf } from './subject.ts'

const BLOBS: OpenOptions = { ...QUIET, blobThresholdBytes: 256, gcGraceMs: 0, blockCacheSizeBytes: 0 }
const LARGE = 'x'.repeat(1000)

async function everyRead(db: Db, key: string): Promise<(string | undefined)[]> {
  const forwards = await contents(db)
  const backwards = await contents(db, { reverse: true })
  const [many] = await db.getMany([key])
  return [await textOf(db.get(key)), many && utf8Decode(many), forwards[key], backwards[key]]
}

describe('merge operands on a separated value', () => {
  test('are applied by every read, and by the compaction that meets them', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, mergeOperator: append })
    await putAll(db, numbered(0, 20, 1000))
    await db.flush()
    const expected = `${numbered(7, 8, 1000)[0]?.[1]}+one+two`
    await db.merge('key-000007', '+one')
    expect(new Set(await everyRead(db, 'key-000007'))).toEqual(new Set([expected.slice(0, -4)]))
    await db.flush()
    await db.merge('key-000007', '+two')
    expect(new Set(await everyRead(db, 'key-000007'))).toEqual(new Set([expected]))
    await db.compact()
    expect(new Set(await everyRead(db, 'key-000007'))).toEqual(new Set([expected]))
    expect(await textOf(db.get('key-000006'))).toBe(numbered(6, 7, 1000)[0]?.[1])
    // The result is a value of its own, in the blob file of its table: nothing waits for another merge.
    const tables = (await newestOf(store)).version.levels.flat()
    expect(tables.reduce((count, { entryCount }) => count + entryCount, 0)).toBe(20)
    await db.close()
  })

  test('a snapshot between keeps the value that was', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, mergeOperator: append })
    await db.put('a', LARGE)
    const snapshot = db.snapshot()
    await db.merge('a', '+')
    await db.compact()
    expect(await textOf(db.get('a'))).toBe(`${LARGE}+`)
    expect(await textOf(db.get('a', { snapshot }))).toBe(LARGE)
    expect(await contents(db, { snapshot, reverse: true })).toEqual({ a: LARGE })
    snapshot.close()
    await db.compact()
    expect(await textOf(db.get('a'))).toBe(`${LARGE}+`)
    await db.close()
  })

  test('a merged value that becomes large is separated', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, mergeOperator: append })
    for (let i = 0; i < 20; i++) await db.merge('a', 'y'.repeat(50))
    await db.put('b', 'small')
    await db.compact()
    expect(await namesIn(store, 'blob/')).toHaveLength(1)
    expect(await textOf(db.get('a'))).toBe('y'.repeat(1000))
    await db.close()
  })
})

describe('expiry', () => {
  test('hides a separated value at its time, and a compaction lets its bytes go', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, clock, blobGarbagePercent: 0 })
    await db.put('mortal', LARGE, { ttlMs: 1000 })
    await db.put('other', LARGE)
    await clock.drive(db.flush())
    expect(Object.keys(await contents(db))).toEqual(['mortal', 'other'])
    await clock.advance(1001)
    expect(await db.get('mortal')).toBeUndefined()
    expect(Object.keys(await contents(db))).toEqual(['other'])
    await clock.drive(db.compact())
    const [use] = (await newestOf(store)).version.levels.flat().flatMap(({ blobs }) => blobs ?? [])
    expect((use?.liveBytes as number) / (use?.sizeBytes as number)).toBeLessThan(0.6)
    await clock.drive(db.close())
  })

  test('stays with a value that moves to another blob file', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore()
    const db = await open({ store }, { ...BLOBS, clock, compression: 'none', blobGarbagePercent: 90 })
    await db.put('mortal', LARGE, { ttlMs: 60_000 })
    await putAll(db, numbered(0, 9, 1000))
    await clock.drive(db.flush())
    const [before] = await namesIn(store, 'blob/')
    await putAll(db, numbered(0, 9, 20))
    await clock.drive(db.compact())
    await clock.drive(db.compact())
    await clock.advance(100)
    expect(await namesIn(store, 'blob/')).not.toContain(before)
    expect(await textOf(db.get('mortal'))).toBe(LARGE)
    await clock.advance(60_000)
    expect(await db.get('mortal')).toBeUndefined()
    await clock.drive(db.close())
  })
})

test('a range delete lets the blob files go that it empties', async () => {
  const store = new MemoryObjectStore()
  const db = await open({ store }, BLOBS)
  await putAll(db, numbered(0, 30, 1000))
  await db.flush()
  await db.deleteRange({ gte: 'key-000000', lt: 'key-000029' })
  expect(Object.keys(await contents(db))).toEqual(['key-000029'])
  await db.compact()
  await db.compact()
  expect(await contents(db)).toEqual(Object.fromEntries(numbered(29, 30, 1000)))
  await db.close()
  await collectGarbage({ store }, { graceMs: 0 })
  expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
})

test('keyspaces: each with its own values, filter and compression', async () => {
  const store = new MemoryObjectStore()
  const filter = { name: 'cut', filter: (_: Uint8Array, value: Uint8Array) => (value.length === 1000 ? { replace: value.subarray(0, 500) } : ('keep' as const)) }
  const db = await open({ store }, BLOBS)
  const [plain, cut] = [db.keyspace('plain', { compression: 'none' }), db.keyspace('cut', { compactionFilter: filter })]
  for (const space of [db, plain, cut]) for (const [key, value] of numbered(0, 10, 1000)) await space.put(key, value)
  await db.flush()
  expect(await namesIn(store, 'blob/')).toHaveLength(3)
  await db.compact()
  await db.compact()
  for (const [space, bytes] of [[db, 1000], [plain, 1000], [cut, 500]] as const) {
    for (const [key] of numbered(0, 10)) expect((await space.get(key))?.length).toBe(bytes)
  }
  await db.close()
  expect((await verify({ store }, { deep: true })).problems).toEqual([])
})

test('pitfall 20: merges, expiry, range deletes and kills, with most values separated, against a map', async () => {
  for (const seed of [1, 2, 3]) {
    const random = new SeededRandom(seed)
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore()
    const options: OpenOptions = { ...BLOBS, clock, random, wal: 'object-store', mergeOperator: append, blobGarbagePercent: 70, level0CompactionTrigger: 3, level0StopTrigger: 9 }
    let mortal = new MortalObjectStore(store)
    let db = await clock.drive(open({ store: mortal }, options))
    const model = new Map<string, { value: string; until: number }>()
    const alive = (key: string): string | undefined => {
      const known = model.get(key)
      return known === undefined || known.until <= clock.nowMs() ? undefined : known.value
    }
    const key = (): string => `k${String(random.below(30)).padStart(2, '0')}`
    for (let step = 0; step < 300; step++) {
      const dice = random.below(100)
      const [at, value] = [key(), `${step}:`.padEnd(random.chance(0.7) ? 300 + random.below(900) : 10, 'v')]
      if (dice < 40) {
        const ttlMs = random.chance(0.3) ? 1 + random.below(5000) : undefined
        await clock.drive(db.put(at, value, ttlMs === undefined ? {} : { ttlMs }))
        model.set(at, { value, until: ttlMs === undefined ? Number.POSITIVE_INFINITY : clock.nowMs() + ttlMs })
      } else if (dice < 55) {
        // On a value that expires later the operand would outlive its base, which is not what is looked at here.
        const base = model.get(at)
        if (base !== undefined && base.until !== Number.POSITIVE_INFINITY) continue
        await clock.drive(db.merge(at, '+'))
        model.set(at, { value: `${base?.value ?? ''}+`, until: Number.POSITIVE_INFINITY })
      } else if (dice < 62) {
        await clock.drive(db.delete(at))
        model.delete(at)
      } else if (dice < 66) {
        const [gte, lt] = [key(), key()].sort() as [string, string]
        await clock.drive(db.deleteRange({ gte, lt }))
        for (const each of model.keys()) if (each >= gte && each < lt) model.delete(each)
      } else if (dice < 80) await clock.drive(db.flush())
      else if (dice < 84) await clock.drive(db.compact())
      else if (dice < 92) await clock.advance(random.below(2000))
      else if (dice < 95) {
        await mortal.kill()
        mortal = new MortalObjectStore(store)
        db = await clock.drive(open({ store: mortal }, options))
      }
      const wanted = Object.fromEntries([...model.keys()].sort().flatMap((each) => (alive(each) === undefined ? [] : [[each, alive(each) as string]])))
      if (step % 10 === 0) {
        expect(await clock.drive(contents(db)), `seed ${seed}, step ${step}`).toEqual(wanted)
        expect(await clock.drive(contents(db, { reverse: true }))).toEqual(wanted)
      }
      expect(await clock.drive(textOf(db.get(at))), `seed ${seed}, step ${step}, ${at}`).toBe(alive(at))
    }
    await clock.drive(db.close())
    expect((await verify({ store }, { deep: true })).problems).toEqual([])
    await collectGarbage({ store }, { graceMs: 0, force: true })
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  }
})
