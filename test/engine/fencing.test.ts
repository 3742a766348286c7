// Invariant: a writer that slept while another took over acknowledges nothing more, says FENCED to everybody who asks,
// and does no harm to what the new owner has or makes.
import { Deferred, type MoraineError } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore, type StoreFault } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, numbered, outcomeOf, putAll, QUIET, SMALL, textOf } from './subject.ts'

/** A database whose calls of one kind stop at the door until the test opens it. */
class Sleeper {
  readonly reached = new Deferred<void>()
  readonly #wake = new Deferred<void>()
  readonly store: FaultyObjectStore

  constructor(inner: MemoryObjectStore, matches: (operation: string, key: string) => boolean) {
    this.store = new FaultyObjectStore(
      inner,
      (operation, key): StoreFault | undefined => {
        if (!this.armed || !matches(operation, key)) return undefined
        this.reached.resolve()
        return { kind: 'delay', until: this.#wake.promise }
      },
      { clock: new SimulatedClock() },
    )
  }

  armed = false

  wake(): void {
    this.armed = false
    this.#wake.resolve()
  }
}

function manifestsIn(keys: readonly string[]): number[] {
  return keys.filter((key) => key.startsWith('manifest/')).map((key) => Number(key.slice(-15)))
}

async function keysOf(store: MemoryObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  let token: string | undefined
  do {
    const page = await store.list(prefix, { token })
    keys.push(...page.objects.map(({ key }) => key))
    token = page.nextToken
  } while (token !== undefined)
  return keys
}

async function everyCallIsFenced(db: Db): Promise<void> {
  expect(await outcomeOf(db.put('k', 'v'))).toBe('FENCED')
  expect(await outcomeOf(db.put('k', 'v', { durability: 'memory' }))).toBe('FENCED')
  expect(await outcomeOf(db.delete('k'))).toBe('FENCED')
  expect(await outcomeOf(db.write(new WriteBatch().put('k', 'v')))).toBe('FENCED')
  expect(await outcomeOf(db.get('k'))).toBe('FENCED')
  expect(await outcomeOf(db.getMany(['k']))).toBe('FENCED')
  expect(await outcomeOf(db.flush())).toBe('FENCED')
  expect(await outcomeOf(db.compact())).toBe('FENCED')
  expect(await outcomeOf((async () => db.snapshot())())).toBe('FENCED')
  expect(await outcomeOf((async () => db.getResident('k'))())).toBe('FENCED')
  expect(await outcomeOf((async () => contents(db))())).toBe('FENCED')
}

describe('a writer that was asleep', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-fencing-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  test('pitfall 31: pitfall 1: its manifest number was used, superseded and collected meanwhile: FENCED, nothing acknowledged', async () => {
    const store = new MemoryObjectStore()
    const sleeper = new Sleeper(store, (operation, key) => operation === 'put' && key.startsWith('manifest/'))
    const a = await open({ store: sleeper.store }, QUIET)
    await a.put('a', 'before', { durability: 'store' })
    sleeper.armed = true
    const pending = outcomeOf(a.put('a', 'after', { durability: 'store' }))
    const flush = outcomeOf(a.flush())
    await sleeper.reached.promise
    const number = a.stats().manifestId + 1

    const b = await open({ store }, QUIET)
    for (let i = 0; i < 120; i++) await b.put(`b${i}`, String(i), { durability: 'store' })
    // The owner's own collection keeps the last ones; by now the number that A wants is free again.
    expect(manifestsIn(await keysOf(store))).not.toContain(number)
    const before = await keysOf(store)

    sleeper.wake()
    expect(await pending).toBe('FENCED')
    expect(await flush).toBe('FENCED')
    await everyCallIsFenced(a)
    // What A's create left behind is one stale manifest, below the newest; all that was there is there still.
    expect(await keysOf(store)).toEqual(expect.arrayContaining(before))
    await a.close()

    await b.put('b', 'goes on', { durability: 'store' })
    expect(await textOf(b.get('a'))).toBe('before')
    await b.close()
    const c = await open({ store }, QUIET)
    expect(await textOf(c.get('a'))).toBe('before')
    expect(await textOf(c.get('b119'))).toBe('119')
    expect(await textOf(c.get('b'))).toBe('goes on')
    await c.close()
  })

  test('its manifest number was taken meanwhile: FENCED, and the message names the new owner', async () => {
    const store = new MemoryObjectStore()
    const sleeper = new Sleeper(store, (operation, key) => operation === 'put' && key.startsWith('manifest/'))
    const a = await open({ store: sleeper.store }, QUIET)
    sleeper.armed = true
    const pending = a.put('a', 'lost', { durability: 'store' })
    pending.catch(() => {})
    await sleeper.reached.promise
    const b = await open({ store }, QUIET)
    sleeper.wake()
    await expect(pending).rejects.toMatchObject({ code: 'FENCED', message: expect.stringContaining('epoch 2') as string })
    expect(await contents(b)).toEqual({})
    await b.close()
    await a.close()
  })

  test('pitfall 36: its late deletions take nothing that the new owner uses', async () => {
    const store = new MemoryObjectStore()
    const sleeper = new Sleeper(store, (operation) => operation === 'deleteMany' || operation === 'delete')
    const a = await open({ store: sleeper.store }, QUIET)
    for (let round = 0; round < 4; round++) {
      await putAll(a, numbered(0, 200))
      await a.flush()
    }
    sleeper.armed = true
    await a.compact()
    await sleeper.reached.promise

    const b = await open({ store }, QUIET)
    await putAll(b, numbered(100, 300, 30))
    await b.flush()
    await b.compact()
    const expected = await contents(b)
    const used = await keysOf(store, 'sst/')

    sleeper.wake()
    await a.close()
    const left = await keysOf(store, 'sst/')
    expect(used.length).toBeGreaterThan(left.length)
    await b.close()
    const c = await open({ store }, QUIET)
    expect(await contents(c)).toEqual(expected)
    expect(Object.keys(expected)).toHaveLength(300)
    await c.close()
  })

  test('pitfall 3: a flush that is uploaded but not committed survives the collection of its own process', async () => {
    const store = new MemoryObjectStore()
    const sleeper = new Sleeper(store, (operation, key) => operation === 'put' && key.startsWith('manifest/'))
    const a = await open({ store: sleeper.store }, QUIET)
    for (let round = 0; round < 3; round++) {
      await putAll(a, numbered(0, 50))
      await a.flush()
    }
    sleeper.armed = true
    await a.put('late', 'flush')
    const flushed = a.flush()
    await sleeper.reached.promise
    const compacted = a.compact()
    sleeper.wake()
    await Promise.all([flushed, compacted])
    await a.close()
    const b = await open({ store }, QUIET)
    expect(await textOf(b.get('late'))).toBe('flush')
    expect(Object.keys(await contents(b))).toHaveLength(51)
    await b.close()
  })

  test('a manual compaction that meets the new owner stops the whole handle', async () => {
    const store = new MemoryObjectStore()
    const a = await open({ store }, QUIET)
    for (let round = 0; round < 2; round++) {
      await putAll(a, numbered(0, 20))
      await a.flush()
    }
    const b = await open({ store }, QUIET)
    expect(await outcomeOf(a.compact())).toBe('FENCED')
    await everyCallIsFenced(a)
    await a.close()
    expect(Object.keys(await contents(b))).toHaveLength(20)
    await b.close()
  })

  test('the log on the same machine fences an old writer at its next write, and the new owner has all that was acknowledged', async () => {
    const store = new MemoryObjectStore()
    const a = await open({ store }, { ...QUIET, ...localLog(folder) })
    await putAll(a, numbered(0, 100))
    const b = await open({ store }, { ...QUIET, ...localLog(folder) })
    expect(await outcomeOf(a.put('late', 'never acknowledged'))).toBe('FENCED')
    await everyCallIsFenced(a)
    expect(Object.keys(await contents(b))).toHaveLength(100)
    await a.close()
    await b.close()
  })

  test('close after everything was flushed is fine even if somebody has taken over', async () => {
    const store = new MemoryObjectStore()
    const a = await open({ store }, QUIET)
    await a.put('flushed', 'before', { durability: 'store' })
    const fenced: string[] = []
    a.on('fenced', ({ error }) => fenced.push(error.code))
    const b = await open({ store }, QUIET)
    await a.close()
    expect(fenced).toEqual(['FENCED'])
    expect(await contents(b)).toEqual({ flushed: 'before' })
    await b.close()
  })

  test('close that meets the new owner does not look as if everything had been stored', async () => {
    const store = new MemoryObjectStore()
    const a = await open({ store }, QUIET)
    await a.put('acknowledged', 'in memory')
    const b = await open({ store }, QUIET)
    expect(await outcomeOf(a.close())).toBe('FENCED')
    expect(await contents(b)).toEqual({})
    await b.close()
  })
})

describe('the fence check', () => {
  test('pitfall 26: an owner with new writes notices a takeover by itself, once, with an event', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const a = await open({ store }, { ...SMALL, clock, fenceCheckIntervalMs: 1_000 })
    const fenced: MoraineError[] = []
    const errors: unknown[] = []
    a.on('fenced', ({ error }) => fenced.push(error))
    a.on('error', (event) => errors.push(event))
    await a.put('a', '1')
    await clock.advance(5_000)
    expect(fenced).toEqual([])
    const b = await open({ store }, { ...QUIET, clock })
    await a.put('a', '2')
    await clock.advance(1_500)
    expect(fenced.map(({ code }) => code)).toEqual(['FENCED'])
    expect(fenced[0]?.detail).toMatchObject({ epoch: 1, owner: expect.stringContaining('epoch 2') as string })
    expect(errors).toEqual([])
    await everyCallIsFenced(a)
    await a.close()
    await b.close()
  })

  test('an owner whose writes are all flushed asks the store nothing', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const a = await open({ store }, { ...SMALL, clock, fenceCheckIntervalMs: 1_000 })
    await a.put('a', '1', { durability: 'store' })
    const { requests } = a.stats().store
    await clock.advance(60_000)
    expect(a.stats().store.requests).toBe(requests)
    await a.put('a', '2')
    await clock.advance(1_500)
    expect(a.stats().store.requests).toBe(requests + 1)
    await a.close()
  })

  test('a check that the store does not answer is reported and repeated, not taken for a takeover', async () => {
    const inner = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const store = new FaultyObjectStore(inner, () => undefined, { clock })
    const a = await open({ store }, { ...SMALL, clock, fenceCheckIntervalMs: 1_000 })
    const errors: boolean[] = []
    a.on('error', ({ willRetry }) => errors.push(willRetry))
    await a.put('a', '1')
    store.plan = (operation) => (operation === 'list' ? { kind: 'fail' } : undefined)
    await clock.advance(60_000)
    expect(errors.length).toBeGreaterThan(0)
    expect(errors).not.toContain(false)
    store.plan = () => undefined
    await clock.drive(a.put('a', '2', { durability: 'store' }))
    expect(await textOf(a.get('a'))).toBe('2')
    await a.close()
  })
})
