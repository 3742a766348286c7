// Invariant: an entry is never returned from the moment it expires on, by whatever time it counts, and compactions remove it;
// time never goes back, not with the clock and not with a restore.
import { float64, json, listState, mapState, openKeyedState, openKeyedStateReader, utf8, valueState } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { describe, expect, test } from 'vitest'
import { collect, SMALL_ENGINE } from './keyed-job.ts'

class World {
  readonly store = new MemoryObjectStore()
  now = 1_000_000

  open(options = {}) {
    return openKeyedState({ store: this.store, prefix: 'job' }, { keyCodec: utf8, ttlClock: () => this.now, engine: SMALL_ENGINE, ...options })
  }
}

const plain = { codec: utf8, ttl: { ms: 100 } }
const touched = { codec: utf8, ttl: { ms: 100, refresh: 'read-write' } } as const
const byEvent = { codec: utf8, ttl: { ms: 100, time: 'event' } } as const

/** In memory, and after everything has gone through the database. */
for (const through of ['memory', 'database'] as const) {
  const cacheEntries = through === 'memory' ? 1_000 : 1
  describe(`through ${through}`, () => {
    test('processing time: gone at the very millisecond, a write begins the life anew, a read does not', async () => {
      const world = new World()
      const job = await world.open({ cacheEntries })
      const state = job.state(valueState('state', plain))
      const other = job.state(valueState('other', { codec: utf8 }))
      await state.of('a').set('x')
      for (let i = 0; i < 50; i++) await other.of(`fill-${i}`).set('y')
      world.now += 99
      expect(await state.of('a').get()).toBe('x')
      world.now += 1
      expect(await state.of('a').get()).toBeUndefined()
      expect(await state.of('a').update((value) => (value === undefined ? 'new' : 'old'))).toBe('new')
      world.now += 99
      await state.of('a').set('again')
      world.now += 99
      expect(await state.of('a').get()).toBe('again')
      expect(await collect(state.keys())).toHaveLength(1)
      world.now += 1
      expect(await collect(state.keys())).toHaveLength(0)
      expect(state.of('a').getResident() ?? { absent: true }).toEqual({ absent: true })
      await job.close()
    })

    test('read-write: every read prolongs the life, also of entries and elements', async () => {
      const world = new World()
      const job = await world.open({ cacheEntries })
      const state = job.state(valueState('state', touched))
      const map = job.state(mapState('map', { ...touched, keyCodec: utf8 }))
      const list = job.state(listState('list', touched))
      await state.of('a').set('x')
      await map.of('a').set('f', 'x')
      await list.of('a').add('x')
      for (let i = 0; i < 5; i++) {
        world.now += 90
        expect(await state.of('a').get()).toBe('x')
        expect(await collect(map.of('a').entries())).toEqual([['f', 'x']])
        expect(await list.of('a').get()).toEqual(['x'])
      }
      world.now += 100
      expect(await state.of('a').get()).toBeUndefined()
      expect(await map.of('a').has('f')).toBe(false)
      expect(await list.of('a').get()).toEqual([])
      await job.close()
    })

    test('maps expire entry by entry, lists element by element', async () => {
      const world = new World()
      const job = await world.open({ cacheEntries })
      const map = job.state(mapState('map', { codec: float64, keyCodec: utf8, ttl: { ms: 100 } }))
      const list = job.state(listState('list', { codec: float64, ttl: { ms: 100 } }))
      for (let i = 0; i < 4; i++) {
        await map.of('a').set(`f${i}`, i)
        await list.of('a').add(i)
        world.now += 40
      }
      expect(await list.of('a').get()).toEqual([2, 3])
      expect((await collect(map.of('a').entries())).map(([, n]) => n)).toEqual([2, 3])
      expect(await map.of('a').get('f1')).toBeUndefined()
      await job.close()
    })

    test('event time: by the watermark, whatever the clock does', async () => {
      const world = new World()
      const job = await world.open({ cacheEntries })
      const state = job.state(valueState('state', byEvent))
      await job.advanceWatermark(1_000)
      await state.of('a').set('x')
      world.now += 1_000_000
      await job.advanceWatermark(1_099)
      expect(await state.of('a').get()).toBe('x')
      // A watermark that is not newer changes nothing.
      await job.advanceWatermark(5)
      expect(job.watermark).toBe(1_099)
      await job.advanceWatermark(1_100)
      expect(await state.of('a').get()).toBeUndefined()
      await job.close()
    })

    test('event time: what is written before the first watermark lives from that one on', async () => {
      const world = new World()
      const job = await world.open({ cacheEntries })
      const state = job.state(valueState('state', byEvent))
      const map = job.state(mapState('map', { ...byEvent, keyCodec: utf8 }))
      await state.of('a').set('x')
      await map.of('a').set('f', 'x')
      await job.advanceWatermark(1_700_000_000_000)
      expect(await state.of('a').get()).toBe('x')
      await job.advanceWatermark(1_700_000_000_099)
      expect(await collect(map.of('a').values())).toEqual(['x'])
      await job.advanceWatermark(1_700_000_000_100)
      expect(await state.of('a').get()).toBeUndefined()
      expect(await collect(map.of('a').values())).toEqual([])
      await job.close()
    })
  })
}

test('processing time does not go back, neither with the clock nor with a restore', async () => {
  const world = new World()
  let job = await world.open()
  let state = job.state(valueState('state', plain))
  await state.of('a').set('x')
  world.now += 100
  expect(await state.of('a').get()).toBeUndefined()
  world.now -= 5_000
  expect(await state.of('a').get()).toBeUndefined()
  await state.of('b').set('y')
  await job.checkpoint()
  await job.close()
  job = await world.open()
  state = job.state(valueState('state', plain))
  expect(await state.of('a').get()).toBeUndefined()
  expect(await state.of('b').get()).toBe('y')
  world.now += 5_099
  expect(await state.of('b').get()).toBe('y')
  world.now += 1
  expect(await state.of('b').get()).toBeUndefined()
  await job.close()
})

test('without removal by compactions, expired entries are hidden all the same', async () => {
  const world = new World()
  const job = await world.open({ removeExpired: false, cacheEntries: 1 })
  const state = job.state(valueState('state', plain))
  for (let i = 0; i < 50; i++) await state.of(`key-${i}`).set('x')
  world.now += 100
  for (let i = 0; i < 50; i++) expect(await state.of(`key-${i}`).get()).toBeUndefined()
  expect(await collect(state.keys())).toEqual([])
  await job.close()
})

test('pitfall 20: compactions remove what has expired and nothing else, and an older checkpoint still has it', async () => {
  const world = new World()
  let job = await world.open({ cacheEntries: 10 })
  const declare = (backend: typeof job) => ({
    short: backend.state(valueState('short', { codec: json<{ text: string }>(), ttl: { ms: 1_000 } })),
    ever: backend.state(valueState('ever', { codec: json<{ text: string }>() })),
    watered: backend.state(mapState('watered', { codec: utf8, keyCodec: utf8, ttl: { ms: 1_000, time: 'event' } })),
  })
  const own = declare(job)
  await job.advanceWatermark(0)
  for (let i = 0; i < 300; i++) {
    await own.short.of(`key-${i}`).set({ text: 'x'.repeat(500) })
    await own.watered.of(`key-${i}`).set('f', 'x'.repeat(500))
  }
  for (let i = 0; i < 20; i++) await own.ever.of(`key-${i}`).set({ text: 'kept' })
  const before = await job.checkpoint({ name: 'before' })
  world.now += 1_000
  await job.advanceWatermark(1_000)
  // Enough flushes to have everything rewritten, as compaction comes past it.
  for (let round = 0; round < 12; round++) {
    for (let i = 0; i < 300; i++) await own.ever.of(`fill-${i}`).set({ text: `${round}`.padEnd(900, '.') })
    await job.checkpoint()
  }
  const reader = await openKeyedStateReader({ store: world.store, prefix: 'job' })
  expect(await collect(reader.state('short').keys())).toEqual([])
  await reader.close()
  const entries = job.stats().engine.levels.reduce((sum, level) => sum + level.entries, 0)
  expect(entries).toBeLessThan(300 + 300 + 20 + 200)
  for (let i = 0; i < 20; i++) expect(await own.ever.of(`key-${i}`).get()).toEqual({ text: 'kept' })
  await job.close()

  // Back to where it was alive, with the time of then: event time is the checkpoint's, and the clock is injected.
  world.now -= 1_000
  job = await world.open({ checkpoint: before.id })
  const restored = declare(job)
  expect(await restored.watered.of('key-7').get('f')).toBe('x'.repeat(500))
  expect(await restored.short.of('key-7').get()).toEqual({ text: 'x'.repeat(500) })
  await job.close()
})
