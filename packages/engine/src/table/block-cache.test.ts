/**
 * Invariant: blocks that are used again stay; what is read once, however much of it and however often in turn, does not
 * push them out; a new hot set gets in; and the bytes of what is cached are counted exactly and never above the budget.
 */
import { DataBlock } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '@moraine/base'
import { BlockCache, type BlockSlots } from './block-cache.ts'

const BLOCK = new DataBlock(new Uint8Array(100), new Uint8Array(1_000), new Int32Array(6))
const BLOCKS = 100

/** Reads a block as a table does: by its slot, else from the store. True when it was cached. */
function read(cache: BlockCache, slots: BlockSlots, ordinal: number, scanned = false): boolean {
  const cached = slots.blocks[ordinal]
  if (cached === undefined) {
    cache.insert(slots, ordinal, BLOCK, scanned)
    return false
  }
  if (!scanned) cached.used = true
  return true
}

const table = (): BlockSlots => ({ blocks: [] })
const hits = (cache: BlockCache, slots: BlockSlots, count: number): number =>
  Array.from({ length: count }, (_, i) => read(cache, slots, i)).filter(Boolean).length

function cacheWithHotSet(count: number): { cache: BlockCache; hot: BlockSlots } {
  const cache = new BlockCache(BLOCKS * BLOCK.memoryBytes)
  const hot = table()
  for (let round = 0; round < 3; round++) hits(cache, hot, count)
  return { cache, hot }
}

describe('what is read once', () => {
  test('a scan of a hundred caches leaves the hot set', () => {
    const { cache, hot } = cacheWithHotSet(80)
    const cold = table()
    for (let i = 0; i < BLOCKS * 100; i++) read(cache, cold, i, true)
    expect(hits(cache, hot, 80)).toBe(80)
  })

  test('a loop of scans, of part of the cache or of many of it, leaves the hot set, read or not read in between', () => {
    for (const blocks of [30, 60, 100, 300]) {
      for (const readInBetween of [true, false]) {
        const { cache, hot } = cacheWithHotSet(80)
        const cold = table()
        for (let round = 0; round < 20; round++) {
          for (let i = 0; i < blocks; i++) read(cache, cold, i, true)
          if (readInBetween) expect(hits(cache, hot, 80)).toBe(80)
        }
        expect(hits(cache, hot, 80)).toBe(80)
      }
    }
  })

  test('point reads of keys that are never wanted again leave the hot set', () => {
    const { cache, hot } = cacheWithHotSet(80)
    const cold = table()
    for (let i = 0; i < BLOCKS * 20; i++) {
      read(cache, cold, i)
      read(cache, hot, i % 80)
    }
    expect(hits(cache, hot, 80)).toBe(80)
  })
})

test('a new hot set larger than probation replaces one that is no longer wanted', () => {
  const { cache } = cacheWithHotSet(90)
  const next = table()
  for (let round = 0; round < 6; round++) hits(cache, next, 60)
  expect(hits(cache, next, 60)).toBe(60)
})

describe('hot blocks of a new table', () => {
  test('take free room and the room of unused blocks on probation, never that of others', () => {
    const { cache, hot } = cacheWithHotSet(88)
    const cold = table()
    for (let i = 0; i < BLOCKS; i++) read(cache, cold, i, true)
    const fresh = table()
    const taken = Array.from({ length: 50 }, (_, i) => cache.insertHot(fresh, i, BLOCK)).filter(Boolean).length
    expect(taken).toBeGreaterThan(5)
    expect(taken).toBeLessThan(13)
    expect(cache.sizeBytes).toBeLessThanOrEqual(cache.budgetBytes)
    expect(hits(cache, hot, 88)).toBe(88)
  })

  test('have to be used to count as hot again', () => {
    const { cache, hot } = cacheWithHotSet(10)
    cache.insertHot(hot, 50, BLOCK)
    const entry = hot.blocks[50]
    expect(entry && cache.isHot(entry)).toBe(false)
    read(cache, hot, 50)
    expect(entry && cache.isHot(entry)).toBe(true)
    if (entry !== undefined) cache.release(entry)
    expect(entry && cache.isHot(entry)).toBe(false)
  })
})

test('pitfall 23: the bytes of cached blocks are counted exactly through churn of a hundred times the cache', () => {
  const cache = new BlockCache(BLOCKS * BLOCK.memoryBytes)
  const random = new SeededRandom(4)
  let tables = Array.from({ length: 8 }, table)
  for (let step = 0; step < BLOCKS * 100; step++) {
    const slots = random.pick(tables)
    const ordinal = random.below(40)
    const cached = slots.blocks[ordinal]
    if (cached !== undefined && random.chance(0.1)) cache.release(cached)
    else if (random.chance(0.1)) cache.insertHot(slots, ordinal, BLOCK)
    else read(cache, slots, ordinal, random.chance(0.3))
    if (random.chance(0.002)) {
      cache.drop(slots)
      tables = tables.map((other) => (other === slots ? table() : other))
    }
    const resident = tables.reduce((count, { blocks }) => count + blocks.filter((entry) => entry !== undefined).length, 0)
    expect(cache.blockCount).toBe(resident)
    expect(cache.sizeBytes).toBe(resident * BLOCK.memoryBytes)
    expect(cache.sizeBytes).toBeLessThanOrEqual(cache.budgetBytes)
  }
  expect(cache.evictions).toBeGreaterThan(BLOCKS)
})
