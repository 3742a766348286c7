// Invariant: a collection deletes everything that nothing needs and nothing else, whatever else goes on, and wherever it
// or the process whose files it judges stops.
import { Deferred, SeededRandom, utf8Decode } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, PrefixedObjectStore, type StoreOperation } from '@moraine/object-store'
import { CallScheduler, CutObjectStore, SimulatedClock } from '@moraine/testing'
import { clone, collectGarbage, type Db, open, openReader, type OpenOptions } from 'moraine'
import { createPin, type Manifest, type ManifestId, releasePin } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { dataIn, dataOf, manifestsOf, namesIn, newestOf } from './bucket.ts'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL } from './subject.ts'

const NOW = { graceMs: 0, force: true }

/** A writer that was killed: two tables are live, and what stands in the bucket is what it left. */
async function deserted(store: MemoryObjectStore): Promise<void> {
  const cut = new CutObjectStore(store)
  const db = await open({ store: cut }, QUIET)
  await putAll(db, numbered(0, 20))
  await db.flush()
  await putAll(db, numbered(20, 40))
  await db.flush()
}

/** Data of the newest manifest and of its checkpoints. */
async function neededIn(store: MemoryObjectStore): Promise<string[]> {
  const newest = await newestOf(store)
  const names = new Set(dataOf(newest))
  for (const { manifestId } of newest.checkpoints) {
    for (const name of dataOf((await manifestsOf(store).read(manifestId)) as Manifest)) names.add(name)
  }
  return [...names].sort()
}

async function everything(store: MemoryObjectStore): Promise<Record<string, string>> {
  const db = await open({ store }, QUIET)
  const found = await contents(db)
  await db.close()
  return found
}

describe('orphans of crashes', () => {
  /** Runs a workload that dies at its n-th store call, for every n; then collects and looks. */
  async function crashEverywhere(options: OpenOptions, work: (db: Db) => Promise<void>): Promise<number> {
    for (let call = 1; ; call++) {
      for (const when of ['before', 'after'] as const) {
        const store = new MemoryObjectStore()
        const first = await open({ store }, QUIET)
        await putAll(first, numbered(0, 30))
        await first.flush()
        await first.close()
        const cut = new CutObjectStore(store, { call, when })
        const running = (async () => {
          const db = await open({ store: cut }, { ...options, takeover: 'steal', clock: new SimulatedClock() })
          await work(db)
          await db.close()
        })()
        const ended = await Promise.race([running.then(() => 'whole' as const), cut.reached.then(() => 'cut' as const)])
        if (ended === 'whole') return call
        const next = await open({ store }, QUIET)
        const before = await contents(next)
        await collectGarbage({ store }, NOW)
        expect(await dataIn(store), `cut ${when} call ${call}`).toEqual(await neededIn(store))
        expect(await contents(next)).toEqual(before)
        expect(Object.keys(before).length).toBeGreaterThanOrEqual(30)
        await next.close()
      }
    }
  }

  test('pitfall 18: a crash at every store call of a flush leaves nothing once collected', async () => {
    const calls = await crashEverywhere(QUIET, async (db) => {
      await putAll(db, numbered(30, 60))
      await db.flush()
    })
    expect(calls).toBeGreaterThan(8)
  })

  test('pitfall 18: a crash at every store call of a compaction leaves nothing once collected', async () => {
    const calls = await crashEverywhere(QUIET, async (db) => {
      await putAll(db, numbered(10, 200, 100))
      await db.flush()
      await db.compact()
    })
    expect(calls).toBeGreaterThan(15)
  })

  test('pitfall 18: a crash at every store call of a checkpoint and its deletion leaves nothing once collected', async () => {
    const calls = await crashEverywhere(QUIET, async (db) => {
      await db.put('more', '1')
      await db.checkpoint({ name: 'c' })
      await putAll(db, numbered(0, 30, 50))
      await db.compact()
      await db.deleteCheckpoint('c')
    })
    expect(calls).toBeGreaterThan(15)
  })

  test('pitfall 18: the writer itself finds what the owner before it left, from time to time', async () => {
    const store = new MemoryObjectStore({ clock: new SimulatedClock() })
    await deserted(store)
    await store.put('sst/000000000001-0123456789abcdef01234567.sst', new Uint8Array(10))
    const clock = new SimulatedClock()
    const db = await open({ store }, { ...QUIET, clock, gcIntervalMs: 60_000, gcGraceMs: 0 })
    const sweeps: unknown[] = []
    db.on('gc', (report) => sweeps.push(report))
    await clock.advance(60_001)
    expect(sweeps).toMatchObject([{ kind: 'sweep', tables: 1, sizeBytes: 10 }])
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
    const requests = db.stats().store.requests
    await clock.advance(600_000)
    expect(db.stats().store.requests).toBe(requests)
    expect(db.stats().gc.sweeps).toBe(1)
    await db.close()
  })

  test('a collector that dies at any of its calls has damaged nothing, and the next one finishes', async () => {
    for (let call = 1; ; call++) {
      const store = new MemoryObjectStore()
      await deserted(store)
      const db = await open({ store }, QUIET)
      await db.compact()
      const wanted = await contents(db)
      await store.put('sst/000000000001-0123456789abcdef01234567.sst', new Uint8Array(10))
      await createPin(store, { manifestId: 1 as ManifestId, scope: 'only', holder: { kind: 'lease', leaseMs: 1 }, note: { holder: '', createdAtMs: 0 } }, new SeededRandom(1))
      const cut = new CutObjectStore(store, { call, when: 'after' })
      const collecting = collectGarbage({ store: cut }, NOW)
      const ended = await Promise.race([collecting.then(() => 'whole'), cut.reached.then(() => 'cut')])
      await collectGarbage({ store }, NOW)
      expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
      expect(await contents(db)).toEqual(wanted)
      await db.close()
      if (ended === 'whole') return
    }
  })
})

describe('collection next to others', () => {
  test('pitfall 36: a collector that was frozen after its read deletes nothing of the owner that took over', async () => {
    for (const frozenAt of ['list pin/', 'list manifest/', 'deleteMany'] as const) {
      const store = new MemoryObjectStore()
      await deserted(store)
      await store.put('sst/000000000000-0123456789abcdef01234567.sst', new Uint8Array(10))
      const thaw = new Deferred<void>()
      const frozen = new Deferred<void>()
      let newestWasRead = false
      const cold = new FaultyObjectStore(
        store,
        (operation: StoreOperation, key) => {
          if (operation === 'get' && key.startsWith('manifest/')) newestWasRead = true
          if (!newestWasRead || !(`${operation} ${key}`.startsWith(frozenAt))) return undefined
          frozen.resolve()
          return { kind: 'delay', until: thaw.promise }
        },
        { clock: new SimulatedClock() },
      )
      const collecting = collectGarbage({ store: cold }, NOW)
      await frozen.promise
      const db = await open({ store }, QUIET)
      await putAll(db, numbered(40, 80))
      await db.flush()
      await db.compact()
      const wanted = await contents(db)
      const data = dataOf(await newestOf(store))
      thaw.resolve()
      await collecting
      expect(await dataIn(store)).toEqual(expect.arrayContaining(data))
      await db.close()
      expect(await everything(store)).toEqual(wanted)
    }
  })

  test('pitfall 3: a table that is uploaded but not yet named survives collections of everybody', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const release = new Deferred<void>()
    const stalled = new Deferred<void>()
    // The upload lands; its answer, and so the commit, is what stalls.
    const slow = new FaultyObjectStore(
      store,
      (operation, key) => {
        if (operation !== 'put' || !key.startsWith('manifest/') || !key.endsWith('000002')) return undefined
        stalled.resolve()
        return { kind: 'delay', until: release.promise }
      },
      { clock },
    )
    const db = await open({ store: slow }, { ...QUIET, clock, gcIntervalMs: 60_000, gcGraceMs: 0 })
    await db.put('a', '1')
    const flushing = db.flush()
    await stalled.promise
    expect(await dataIn(store)).toHaveLength(1)
    await collectGarbage({ store }, NOW)
    await clock.advance(120_000)
    expect(await dataIn(store)).toHaveLength(1)
    release.resolve()
    await flushing
    await clock.advance(120_000)
    expect(db.stats().gc.sweeps).toBeGreaterThan(0)
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
    await db.close()
    expect(await everything(store)).toEqual({ a: '1' })
  })

  test('pitfall 3: an upload in flight during a sweep of its owner stays', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const release = new Deferred<void>()
    const stalled = new Deferred<void>()
    let uploads = 0
    const slow = new FaultyObjectStore(
      store,
      (operation, key) => {
        // Of the two tables of a compaction the first is there and the second is on its way.
        if (operation !== 'put' || !key.startsWith('sst/') || ++uploads !== 4) return undefined
        stalled.resolve()
        return { kind: 'delay', until: release.promise }
      },
      { clock },
    )
    const db = await open({ store: slow }, { ...QUIET, clock, gcIntervalMs: 60_000, gcGraceMs: 0 })
    for (const at of [0, 100]) {
      await putAll(db, numbered(at, at + 150, 100))
      await db.flush()
    }
    const compacting = db.compact()
    await stalled.promise
    expect(await dataIn(store)).toHaveLength(3)
    await clock.advance(60_001)
    expect(db.stats().gc.sweeps).toBe(1)
    expect(await dataIn(store)).toHaveLength(3)
    release.resolve()
    await compacting
    await db.close()
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
    expect(Object.keys(await everything(store))).toHaveLength(250)
  })

  test('pitfall 4: a scan that outlives a compaction and a collection reads on', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const db = await open({ store }, { ...QUIET, clock, gcIntervalMs: 60_000, gcGraceMs: 0, blockCacheSizeBytes: 0 })
    for (const at of [0, 200]) {
      await putAll(db, numbered(at, at + 250, 100))
      await db.flush()
    }
    const scan = db.scan()[Symbol.asyncIterator]()
    let found = (await scan.next()).done === true ? 0 : 1
    const before = await dataIn(store)
    await db.compact()
    await clock.advance(60_001)
    expect(db.stats().gc.sweeps).toBe(1)
    expect(await dataIn(store)).toEqual(expect.arrayContaining(before))
    while ((await scan.next()).done !== true) found++
    expect(found).toBe(450)
    await db.close()
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  })

  test('pitfall 4: files of a pinned manifest outlive compaction and collection, and go with the pin', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    for (const at of [0, 200]) {
      await putAll(db, numbered(at, at + 250, 100))
      await db.flush()
    }
    const pinned = await newestOf(store)
    const pin = await createPin(store, { manifestId: pinned.id, scope: 'only', holder: { kind: 'clone' }, note: { holder: 'c', createdAtMs: 0 } }, new SeededRandom(1))
    await db.compact()
    await putAll(db, numbered(100, 110))
    await db.compact()
    await db.close()
    expect(db.stats().gc.keptFiles).toBe(2)
    await open({ store }, QUIET)
    await collectGarbage({ store }, NOW)
    const both = [...new Set([...dataOf(pinned), ...dataOf(await newestOf(store))])].sort()
    expect(await dataIn(store)).toEqual(both)
    expect(await manifestsOf(store).read(pinned.id)).toBeDefined()
    await releasePin(store, pin)
    await collectGarbage({ store }, NOW)
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  })

  test('the owner deletes what a released pin had kept, with its next compaction', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 50))
    await db.flush()
    const request = { scope: 'from', holder: { kind: 'clone' }, note: { holder: 'c', createdAtMs: 0 } } as const
    const pin = await createPin(store, { ...request, manifestId: (await newestOf(store)).id }, new SeededRandom(1))
    await putAll(db, numbered(25, 75))
    await db.compact()
    expect(await dataIn(store)).toHaveLength(3)
    await releasePin(store, pin)
    await putAll(db, numbered(30, 40))
    await db.compact()
    await db.close()
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
  })

  test('a pin that nobody understands stops every collection', async () => {
    const store = new MemoryObjectStore()
    await deserted(store)
    await open({ store }, QUIET)
    await store.put('sst/000000000001-0123456789abcdef01234567.sst', new Uint8Array(10))
    await store.put('pin/future', new Uint8Array(1))
    expect(await outcomeOf(collectGarbage({ store }, NOW))).toBe('INVALID')
    expect(await dataIn(store)).toHaveLength(3)
  })

  test('two collectors and a writer at once, by seed: nothing is missing, nothing is left', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const store = new MemoryObjectStore()
      await deserted(store)
      for (let i = 0; i < 3; i++) await store.put(`sst/000000000001-${String(i).padStart(24, '0')}.sst`, new Uint8Array(10))
      const scheduler = new CallScheduler(store)
      const random = new SeededRandom(seed)
      const running = [
        collectGarbage({ store: scheduler.storeFor('a') }, NOW),
        collectGarbage({ store: scheduler.storeFor('b') }, NOW),
        (async () => {
          const db = await open({ store: scheduler.storeFor('w') }, QUIET)
          await putAll(db, numbered(40, 60))
          await db.flush()
          await db.compact()
          await db.close()
        })(),
      ]
      let done = false
      const all = Promise.all(running).finally(() => {
        done = true
      })
      for (;;) {
        const waiting = await scheduler.waiting()
        if (waiting.length > 0) scheduler.step(random.below(waiting.length))
        else if (done) break
      }
      await all
      expect(Object.keys(await everything(store)), `seed ${seed}`).toHaveLength(60)
      await collectGarbage({ store }, NOW)
      expect(await dataIn(store), `seed ${seed}`).toEqual(dataOf(await newestOf(store)))
    }
  })
})

describe('what checkpoints, clones and readers hold', () => {
  /** Twenty entries, a checkpoint, and then everything written anew and compacted. */
  async function overtaken(store: MemoryObjectStore): Promise<Db> {
    const db = await open({ store, prefix: 'a' }, QUIET)
    await putAll(db, numbered(0, 20))
    await db.checkpoint({ name: 'old' })
    await putAll(db, numbered(0, 20, 40))
    await db.flush()
    await db.compact()
    return db
  }
  const part = (store: MemoryObjectStore): PrefixedObjectStore => new PrefixedObjectStore(store, 'a')

  test('files of a checkpoint stay while it is listed, and go with it', async () => {
    const store = new MemoryObjectStore()
    const db = await overtaken(store)
    await collectGarbage({ store, prefix: 'a' }, NOW)
    expect(await dataIn(part(store))).toHaveLength(2)
    await db.deleteCheckpoint('old')
    await db.close()
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
    expect(db.stats().gc).toMatchObject({ deletedTables: 2, keptFiles: 0 })
  })

  test('a checkpoint of an owner before this one is deleted as well', async () => {
    const store = new MemoryObjectStore()
    await (await overtaken(store)).close()
    const db = await open({ store, prefix: 'a' }, QUIET)
    await db.deleteCheckpoint('old')
    await db.close()
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
  })

  test('files that two checkpoints share go with the second one', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'a' }, QUIET)
    await putAll(db, numbered(0, 20))
    await db.checkpoint({ name: 'one' })
    await putAll(db, numbered(20, 40))
    await db.checkpoint({ name: 'two' })
    await putAll(db, numbered(0, 40))
    await db.compact()
    expect(await dataIn(part(store))).toHaveLength(3)
    await db.deleteCheckpoint('one')
    await collectGarbage({ store, prefix: 'a' }, NOW)
    expect(await dataIn(part(store))).toHaveLength(3)
    await db.deleteCheckpoint('two')
    await db.close()
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
  })

  test('what a restore leaves behind is collected, what it returns to is not', async () => {
    const store = new MemoryObjectStore()
    const db = await overtaken(store)
    await db.restore('old')
    expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 20)))
    await db.close()
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
    const again = await open({ store, prefix: 'a' }, QUIET)
    expect(await contents(again)).toEqual(Object.fromEntries(numbered(0, 20)))
    await again.close()
  })

  test('pitfall 5: a clone reads on when its source has deleted the checkpoint, compacted and collected', async () => {
    const store = new MemoryObjectStore()
    const db = await overtaken(store)
    await clone({ store, prefix: 'a' }, { store, prefix: 'b' }, { checkpoint: 'old' })
    await db.deleteCheckpoint('old')
    await putAll(db, numbered(5, 10, 60))
    await db.compact()
    await db.close()
    const next = await open({ store, prefix: 'a' }, QUIET)
    await collectGarbage({ store, prefix: 'a' }, NOW)
    await collectGarbage({ store, prefix: 'b' }, NOW)
    const cloned = await open({ store, prefix: 'b' }, { ...QUIET, blockCacheSizeBytes: 0 })
    expect(await contents(cloned)).toEqual(Object.fromEntries(numbered(0, 20)))
    await cloned.detach()
    await cloned.close()
    await collectGarbage({ store, prefix: 'a' }, NOW)
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
    await next.close()
  })

  test("pitfall 4: another process's reader reads on through compaction and collection, and lets go when it closes", async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'a' }, QUIET)
    await putAll(db, numbered(0, 300, 100))
    await db.flush()
    const reader = await openReader({ store, prefix: 'a' }, { refreshIntervalMs: 0, blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 })
    await putAll(db, numbered(0, 300, 120))
    await db.compact()
    await db.close()
    const next = await open({ store, prefix: 'a' }, QUIET)
    await collectGarbage({ store, prefix: 'a' }, NOW)
    const found: Record<string, string> = {}
    for await (const [key, value] of reader.scan()) found[utf8Decode(key)] = utf8Decode(value)
    expect(found).toEqual(Object.fromEntries(numbered(0, 300, 100)))
    await reader.close()
    await collectGarbage({ store, prefix: 'a' }, NOW)
    expect(await dataIn(part(store))).toEqual(dataOf(await newestOf(part(store))))
    await next.close()
  })
})

describe('deposed writers and collected manifests', () => {
  /** A writer whose n-th call on a kind of object waits; the call has not happened yet. */
  async function stalledWriter(store: MemoryObjectStore, prefix: string): Promise<{ flushing: Promise<string>; resume: () => void }> {
    const release = new Deferred<void>()
    const stalled = new Deferred<void>()
    let armed = false
    const slow = new FaultyObjectStore(
      store,
      (operation, key) => {
        if (!armed || operation !== 'put' || !key.startsWith(prefix)) return undefined
        stalled.resolve()
        return { kind: 'delay', until: release.promise }
      },
      { clock: new SimulatedClock() },
    )
    const db = await open({ store: slow }, QUIET)
    armed = true
    await db.put('stale', '1')
    const flushing = outcomeOf(db.flush())
    await stalled.promise
    return { flushing, resume: () => release.resolve() }
  }

  test('pitfall 1: a table uploaded after its owner was deposed and collected acknowledges nothing and is collected', async () => {
    const store = new MemoryObjectStore()
    await deserted(store)
    const stale = await stalledWriter(store, 'sst/')
    const db = await open({ store }, QUIET)
    await db.compact()
    await collectGarbage({ store }, NOW)
    stale.resume()
    expect(await stale.flushing).toBe('FENCED')
    await collectGarbage({ store }, NOW)
    expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
    expect(await contents(db)).not.toHaveProperty('stale')
    await db.close()
  })

  test('pitfall 31: a writer that slept until its manifest number was used and collected is FENCED', async () => {
    const store = new MemoryObjectStore()
    await deserted(store)
    const stale = await stalledWriter(store, 'manifest/')
    const stolen = (await newestOf(store)).id + 1
    const db = await open({ store }, QUIET)
    for (let i = 0; i < 40; i++) {
      await db.put(`k${i}`, '1')
      await db.flush()
    }
    await collectGarbage({ store }, NOW)
    expect(await manifestsOf(store).read(stolen as ManifestId)).toBeUndefined()
    stale.resume()
    expect(await stale.flushing).toBe('FENCED')
    expect(await manifestsOf(store).read(stolen as ManifestId)).toBeDefined()
    await collectGarbage({ store }, NOW)
    expect(await manifestsOf(store).read(stolen as ManifestId)).toBeUndefined()
    expect(await dataIn(store)).toEqual(expect.arrayContaining(dataOf(await newestOf(store))))
    expect(await contents(db)).not.toHaveProperty('stale')
    await db.close()
  })

  test('pitfall 17: manifests do not pile up, also with many short-lived owners', async () => {
    const store = new MemoryObjectStore()
    for (let i = 0; i < 60; i++) {
      const db = await open({ store }, QUIET)
      await db.put(`k${i}`, '1')
      await db.close()
    }
    expect((await newestOf(store)).id).toBeGreaterThan(110)
    expect((await namesIn(store, 'manifest/')).length).toBeLessThan(16 + 2 * 64)
    const db = await open({ store }, QUIET)
    for (let i = 0; i < 200; i++) {
      await db.put('k', String(i))
      await db.flush()
    }
    await db.close()
    expect((await namesIn(store, 'manifest/')).length).toBeLessThan(16 + 64 + 2)
    expect(db.stats().gc.deletedManifests).toBeGreaterThan(150)
  })

  test('pitfall 10: writer, collector and store an hour apart: nothing needed goes, leases last by the store\'s time', async () => {
    for (const [writerMs, collectorMs] of [[-3_600_000, 3_600_000], [3_600_000, -3_600_000]] as const) {
      const storeClock = new SimulatedClock()
      const store = new MemoryObjectStore({ clock: storeClock })
      const clock = new SimulatedClock(storeClock.nowMs() + writerMs)
      const db = await open({ store }, { ...QUIET, clock })
      await putAll(db, numbered(0, 50))
      await db.flush()
      const pinned = await newestOf(store)
      const lease = { manifestId: pinned.id, scope: 'only', holder: { kind: 'lease', leaseMs: 60_000 } } as const
      await createPin(store, { ...lease, note: { holder: 'r', createdAtMs: 0 } }, new SeededRandom(1))
      await db.compact()
      await storeClock.advance(50_000)
      const collect = { ...NOW, graceMs: 10_000, clock: new SimulatedClock(storeClock.nowMs() + collectorMs) }
      await collectGarbage({ store }, collect)
      expect(await dataIn(store)).toEqual(expect.arrayContaining(dataOf(pinned)))
      await storeClock.advance(50_000)
      await db.close()
      await open({ store }, { ...QUIET, clock })
      await collectGarbage({ store }, collect)
      expect(await dataIn(store)).toEqual(dataOf(await newestOf(store)))
      expect(await namesIn(store, 'pin/')).toEqual([])
    }
  })
})

describe('collectGarbage', () => {
  test('a dry run deletes nothing and says what would go', async () => {
    const store = new MemoryObjectStore()
    await deserted(store)
    await open({ store }, QUIET)
    const orphan = 'sst/000000000001-0123456789abcdef01234567.sst'
    await store.put(orphan, new Uint8Array(10))
    await store.put('sst/notes.txt', new Uint8Array(1))
    await store.put('elsewhere/file', new Uint8Array(1))
    const all = await namesIn(store, '')
    const result = await collectGarbage({ store }, { dryRun: true, graceMs: 0 })
    expect(result).toMatchObject({ dryRun: true, tables: 1, sizeBytes: 10 })
    expect(result.plan.objects.map(({ name }) => name)).toEqual([orphan])
    expect(result.plan.unknown).toEqual(['sst/notes.txt'])
    expect(await namesIn(store, '')).toEqual(all)
    await collectGarbage({ store }, NOW)
    expect(await namesIn(store, '')).toEqual(all.filter((name) => name !== orphan))
  })

  test('an implausible plan is refused without force, and nothing is deleted', async () => {
    const store = new MemoryObjectStore()
    await deserted(store)
    await open({ store }, QUIET)
    for (let i = 0; i < 40; i++) await store.put(`sst/000000000001-${String(i).padStart(24, '0')}.sst`, new Uint8Array(1))
    expect(await outcomeOf(collectGarbage({ store }, { graceMs: 0 }))).toBe('CONFLICT')
    expect(await dataIn(store)).toHaveLength(42)
    expect(await collectGarbage({ store }, NOW)).toMatchObject({ tables: 40 })
  })

  test('no database, an unknown option: INVALID', async () => {
    const store = new MemoryObjectStore()
    expect(await outcomeOf(collectGarbage({ store }))).toBe('INVALID')
    expect(await outcomeOf(collectGarbage({ store }, { grace: 1 } as never))).toBe('INVALID')
  })

  test('an idle writer makes no request for collection, a compaction three', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const db = await open({ store }, { ...SMALL, level0CompactionTrigger: 1000, level0StopTrigger: 1001, clock })
    await putAll(db, numbered(0, 50))
    await db.flush()
    await putAll(db, numbered(0, 50))
    await db.flush()
    const before = db.stats().store.operations
    await clock.advance(3_600_000)
    expect(db.stats().store.operations).toEqual(before)
    await db.compact()
    await clock.advance(1)
    const { operations } = db.stats().store
    // One listing is the commit's; the pins are listed twice.
    expect(operations.list.calls - before.list.calls).toBe(3)
    expect(operations.deleteMany.calls - before.deleteMany.calls).toBe(1)
    await db.close()
  })
})
