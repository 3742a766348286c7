// Invariant: a checkpoint is exactly what was written before the call that asked for it, costs the delta and two requests,
// and exists either whole or not at all, whatever happens while it is taken.
import { SeededRandom, systemClock } from '@moraine/base'
import { FaultyObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore, MortalObjectStore, SimulatedClock } from '@moraine/testing'
import { type Checkpoint, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll, QUIET, SMALL } from './subject.ts'

/** The requests that `work` makes, as `operation folder`. */
async function requestsOf(store: CutObjectStore, work: () => Promise<unknown>): Promise<string[]> {
  store.calls.length = 0
  await work()
  return store.calls.map((call) => call.replace(/\/.*$/, ''))
}

describe('what a checkpoint is', () => {
  test('all of it comes back: id, name, manifest, time, metadata', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock(1_000_000)
    const db = await open({ store }, { ...QUIET, clock })
    await db.put('a', '1')
    const plain = await db.checkpoint()
    const metadata = { offsets: [1, 2, { topic: 'x', at: null }], done: false }
    const named = await db.checkpoint({ name: 'nightly', metadata, ttlMs: 5000 })
    expect(plain).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      name: undefined,
      manifestId: 2,
      createdAt: 1_000_000,
      expiresAt: undefined,
      metadata: null,
    })
    expect(named).toMatchObject({ name: 'nightly', manifestId: 3, metadata, expiresAt: 1_005_000 })
    expect(await db.checkpoints()).toEqual([plain, named])
    expect(db.stats().checkpoints).toBe(2)
    await db.close()
    const again = await open({ store }, { ...QUIET, clock })
    expect(await again.checkpoints()).toEqual([plain, named])
    await again.close()
  })

  test('bad input is INVALID and a used name is CONFLICT, before anything is written', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    const first = await db.checkpoint({ name: 'x' })
    await db.put('a', '1')
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    const requests = await requestsOf(store, async () => {
      const wrong: unknown[] = [
        { name: '' },
        { name: 'x'.repeat(201) },
        { name: 7 },
        { ttlMs: 0 },
        { ttlMs: 1.5 },
        { ttl: 5 },
        { metadata: cycle },
        { metadata: 7n },
        { metadata: () => 1 },
        { metadata: 'x'.repeat(65 * 1024) },
        'nightly',
      ]
      for (const options of wrong) expect(await outcomeOf(db.checkpoint(options as object)), String(options)).toBe('INVALID')
      expect(await outcomeOf(db.checkpoint({ name: 'x' }))).toBe('CONFLICT')
      expect(await outcomeOf(db.checkpoint({ name: first.id }))).toBe('CONFLICT')
      expect(await outcomeOf(db.deleteCheckpoint('unknown'))).toBe('INVALID')
      expect(await outcomeOf(db.diffCheckpoints('unknown'))).toBe('INVALID')
    })
    expect(requests).toEqual([])
    expect(db.stats().memtables.entries).toBe(1)
    await db.close()
  })

  test('two asked for at once under one name: one gets it', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const outcomes = await Promise.all([outcomeOf(db.checkpoint({ name: 'x' })), outcomeOf(db.checkpoint({ name: 'x' }))])
    expect(outcomes).toEqual(['ok', 'CONFLICT'])
    await db.close()
  })

  test('a deleted one frees its name', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const first = await db.checkpoint({ name: 'x' })
    await db.deleteCheckpoint('x')
    const second = await db.checkpoint({ name: 'x' })
    expect(await db.checkpoints()).toEqual([second])
    await db.deleteCheckpoint(second.id)
    expect(await db.checkpoints()).toEqual([])
    expect(await outcomeOf(db.deleteCheckpoint(first.id))).toBe('INVALID')
    await db.close()
  })

  test('all metadata together has a limit, so that every manifest stays small', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const metadata = 'x'.repeat(60 * 1024)
    await db.checkpoint({ metadata })
    await db.checkpoint({ metadata })
    await expect(db.checkpoint({ metadata })).rejects.toMatchObject({ code: 'INVALID', message: /delete old checkpoints/ })
    expect(await db.checkpoints()).toHaveLength(2)
    await db.close()
  })

  test('it is reported as an event', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const reports: unknown[] = []
    db.on('checkpoint', (report) => reports.push(report))
    const { id, manifestId } = await db.checkpoint({ name: 'x' })
    expect(reports).toEqual([{ id, name: 'x', manifestId, durationMs: expect.any(Number) as number, cost: expect.any(Object) as object }])
    await db.close()
  })
})

describe('what a checkpoint costs', () => {
  test('with unflushed writes: the delta and two requests; without: two requests', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    await putAll(db, numbered(0, 500))
    expect(await requestsOf(store, () => db.checkpoint())).toEqual(['put sst', 'put manifest', 'list manifest'])
    expect(await requestsOf(store, () => db.checkpoint())).toEqual(['put manifest', 'list manifest'])
    await putAll(db, numbered(0, 5))
    expect(await requestsOf(store, () => db.checkpoint())).toEqual(['put sst', 'put manifest', 'list manifest'])
    await db.close()
  })

  test('giving one up: two requests, then a collection behind its back; asking which there are: none', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    await db.checkpoint({ name: 'x' })
    expect(await requestsOf(store, () => db.checkpoints())).toEqual([])
    const requests = await requestsOf(store, () => db.deleteCheckpoint('x'))
    expect(requests.slice(0, 2)).toEqual(['put manifest', 'list manifest'])
    await db.close()
  })

  test('two asked for together share one commit', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    let both: Checkpoint[] = []
    const requests = await requestsOf(store, async () => {
      both = await Promise.all([db.checkpoint({ name: 'a' }), db.checkpoint({ name: 'b' })])
    })
    expect(requests).toEqual(['put sst', 'put manifest', 'list manifest'])
    expect(both[0]?.manifestId).toBe(both[1]?.manifestId)
    await db.close()
  })

  test('the size of the state does not matter', async () => {
    const store = new CutObjectStore(new MemoryObjectStore())
    const costs: string[][] = []
    for (const entries of [10, 5000]) {
      const db = await open({ store, prefix: `of-${entries}` }, QUIET)
      await putAll(db, numbered(0, entries))
      await db.flush()
      await db.put('one', 'more')
      costs.push(await requestsOf(store, () => db.checkpoint()))
      await db.close()
    }
    expect(costs[0]).toHaveLength(3)
    expect(costs[1]).toHaveLength(3)
  })
})

describe('what is in a checkpoint', () => {
  test('exactly the writes before the call; writers are not held up', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    const before = db.put('k', 'before')
    const asked = db.checkpoint({ name: 'cut' })
    // In the same turn of the event loop: nothing was awaited between sealing and the next write.
    const after = db.put('k', 'after')
    expect(db.getResident('k')).toEqual({ value: new Uint8Array(Buffer.from('after')) })
    await Promise.all([before, asked, after, db.put('later', '1'), db.checkpoint({ name: 'all' })])
    await db.restore('cut')
    expect(await contents(db)).toEqual({ k: 'before' })
    await db.restore('all')
    expect(await contents(db)).toEqual({ k: 'after', later: '1' })
    await db.close()
  })

  test('while earlier memtables wait for a slow store, each checkpoint still gets its own point of the history', async () => {
    const store = new MemoryObjectStore()
    let letGo!: () => void
    const until = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const slow = new FaultyObjectStore(store, (operation, key, n) => (operation === 'put' && key.startsWith('sst/') && n === 0 ? { kind: 'delay', until } : undefined), { clock: systemClock })
    const db = await open({ store: slow }, QUIET)
    const asked: Promise<Checkpoint>[] = []
    for (let i = 0; i < 5; i++) {
      await db.put('k', String(i))
      asked.push(db.checkpoint({ name: `at-${i}` }))
    }
    letGo()
    await Promise.all(asked)
    for (let i = 0; i < 5; i++) {
      await db.restore(`at-${i}`)
      expect(await contents(db), `checkpoint ${i}`).toEqual({ k: String(i) })
    }
    await db.close()
  })

  test('one asked for while its flush is being committed stands before the next flush', async () => {
    const store = new MemoryObjectStore()
    let letGo!: () => void
    let reached!: () => void
    const until = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const committing = new Promise<void>((resolve) => {
      reached = resolve
    })
    let armed = false
    const slow = new FaultyObjectStore(
      store,
      (operation, key) => {
        if (!armed || operation !== 'put' || !key.startsWith('manifest/')) return undefined
        armed = false
        reached()
        return { kind: 'delay', until }
      },
      { clock: systemClock },
    )
    const db = await open({ store: slow }, QUIET)
    await db.put('k', '1')
    armed = true
    const flushed = db.flush()
    await committing
    const asked = db.checkpoint({ name: 'one' })
    await db.put('k', '2')
    const next = db.flush()
    letGo()
    await Promise.all([flushed, asked, next])
    await db.restore('one')
    expect(await contents(db)).toEqual({ k: '1' })
    await db.close()
  })

  test('close waits for one that was asked for', async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store }, QUIET)
    await db.put('a', '1')
    const asked = db.checkpoint({ name: 'last' })
    await db.close()
    expect((await asked).name).toBe('last')
    const again = await open({ store }, QUIET)
    expect(await again.checkpoints()).toHaveLength(1)
    expect(await outcomeOf(db.checkpoint())).toBe('CLOSED')
    await again.close()
  })
})

describe('expiry', () => {
  test('an expired one is not listed, frees its name, and leaves the manifest with the next commit', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const db = await open({ store }, { ...QUIET, clock })
    await db.checkpoint({ name: 'short', ttlMs: 1000 })
    await db.checkpoint({ name: 'long', ttlMs: 10_000 })
    await clock.advance(1000)
    expect((await db.checkpoints()).map(({ name }) => name)).toEqual(['long'])
    expect(await outcomeOf(db.deleteCheckpoint('short'))).toBe('INVALID')
    await db.checkpoint({ name: 'short' })
    await db.close()
    // An owner with an early clock sees that the expired one has left the manifest.
    const early = await open({ store }, { ...QUIET, clock: new SimulatedClock(0) })
    expect((await early.checkpoints()).map(({ name }) => name)).toEqual(['long', 'short'])
    await early.close()
  })

  test('pitfall 10: an owner whose clock is an hour off keeps order by manifests; only the expiry follows its clock', async () => {
    const store = new MemoryObjectStore()
    const now = 1_700_000_000_000
    const first = await open({ store }, { ...QUIET, clock: new SimulatedClock(now) })
    await first.put('k', '1')
    const older = await first.checkpoint({ name: 'older', ttlMs: 2 * 3_600_000 })
    await first.close()
    const behind = await open({ store }, { ...QUIET, clock: new SimulatedClock(now - 3_600_000) })
    await behind.put('k', '2')
    const newer = await behind.checkpoint({ name: 'newer' })
    expect(newer.createdAt).toBeLessThan(older.createdAt)
    expect(newer.manifestId).toBeGreaterThan(older.manifestId)
    expect((await behind.checkpoints()).map(({ name }) => name)).toEqual(['older', 'newer'])
    await behind.close()
    const ahead = await open({ store }, { ...QUIET, clock: new SimulatedClock(now + 3_600_000) })
    expect((await ahead.checkpoints()).map(({ name }) => name)).toEqual(['older', 'newer'])
    await ahead.restore('older')
    expect(await contents(ahead)).toEqual({ k: '1' })
    await ahead.close()
  })
})

describe('difference of two checkpoints', () => {
  test('counts what is shared, added and gone, and compares with the present', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await putAll(db, numbered(0, 100))
    await db.checkpoint({ name: 'a' })
    await putAll(db, numbered(100, 200))
    await db.checkpoint({ name: 'b' })
    const grown = await db.diffCheckpoints('a', 'b')
    expect([grown.shared.files, grown.added.files, grown.gone.files]).toEqual([1, 1, 0])
    expect(grown.added.sizeBytes).toBe(db.stats().sizeBytes - grown.shared.sizeBytes)
    expect(await db.diffCheckpoints('b', 'a')).toEqual({ shared: grown.shared, added: grown.gone, gone: grown.added })
    await db.compact()
    const rewritten = await db.diffCheckpoints('b')
    expect([rewritten.shared.files, rewritten.gone.files]).toEqual([0, 2])
    expect(rewritten.added.sizeBytes).toBe(db.stats().sizeBytes)
    await db.close()
  })
})

describe('faults', () => {
  test('cut off at every store call, there is a whole checkpoint or none', async () => {
    for (const when of ['before', 'after'] as const) {
      const outcomes: string[] = []
      for (let call = 1; call <= 3; call++) {
        const store = new MemoryObjectStore()
        const db = await open({ store }, QUIET)
        await db.put('old', '1')
        await db.checkpoint({ name: 'first' })
        await db.close()
        // Opening takes four calls: list, get, put, list.
        const cut = new CutObjectStore(store, { call: 4 + call, when })
        const victim = await open({ store: cut }, { ...QUIET, closeTimeoutMs: 0 })
        expect(cut.calls).toHaveLength(4)
        await victim.put('new', '2')
        let answered = false
        victim.checkpoint({ name: 'second' }).then(
          () => (answered = true),
          () => {},
        )
        await cut.reached
        const next = await open({ store }, QUIET)
        const names = (await next.checkpoints()).map(({ name }) => name as string)
        for (const name of names) {
          await next.restore(name)
          expect(await contents(next), `${when} ${call}: ${name}`).toEqual(name === 'first' ? { old: '1' } : { old: '1', new: '2' })
        }
        expect(answered).toBe(false)
        outcomes.push(names.join(' '))
        await next.close()
        await victim.close().catch(() => {})
      }
      expect(outcomes).toEqual(
        when === 'before' ? ['first', 'first', 'first second'] : ['first', 'first second', 'first second'],
      )
    }
  })

  test('a store that fails for a while delays it, and it is still taken once', async () => {
    const clock = new SimulatedClock()
    const inner = new MemoryObjectStore()
    const faulty = new FaultyObjectStore(inner, () => undefined, { clock })
    const db = await open({ store: faulty }, { ...QUIET, clock, random: new SeededRandom(1) })
    await db.put('a', '1')
    faulty.plan = () => ({ kind: 'fail' })
    const asked = db.checkpoint({ name: 'x' })
    await clock.advance(60_000)
    faulty.plan = (operation, _key, n) => (operation === 'put' && n % 2 === 0 ? { kind: 'loseReply' } : undefined)
    expect((await clock.drive(asked)).name).toBe('x')
    expect(await db.checkpoints()).toHaveLength(1)
    faulty.plan = () => undefined
    await db.close()
  })

  test('pitfall 26: an owner that was stopped across a takeover acknowledges no checkpoint', async () => {
    const store = new MemoryObjectStore()
    const stopped = await open({ store }, QUIET)
    await stopped.put('k', 'old owner')
    const owner = await open({ store }, QUIET)
    expect(await outcomeOf(stopped.checkpoint({ name: 'too-late' }))).toBe('FENCED')
    expect(await outcomeOf(stopped.deleteCheckpoint('x'))).toBe('FENCED')
    expect(await owner.checkpoints()).toEqual([])
    await owner.close()
    await stopped.close().catch(() => {})
  })

  test('a checkpoint survives compactions and their clean-up, and a kill', async () => {
    const store = new MemoryObjectStore()
    const mortal = new MortalObjectStore(store)
    const db = await open({ store: mortal }, { ...SMALL, closeTimeoutMs: 0 })
    await putAll(db, numbered(0, 200))
    await db.checkpoint({ name: 'base' })
    for (let round = 0; round < 12; round++) {
      await putAll(db, numbered(0, 200).map(([key]) => [key, `round ${round}`]))
      await db.flush()
    }
    await db.compact()
    mortal.kill()
    const next = await open({ store }, SMALL)
    await next.restore('base')
    expect(await contents(next)).toEqual(Object.fromEntries(numbered(0, 200)))
    await next.close()
    await db.close().catch(() => {})
  })
})
