// Invariant: whatever the figures, somebody can always go on: a writer that is held back waits for a flush that is under way
// or that it is told to begin itself, a merge waits for other merges only, a scan waits for nothing.
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../random/random.ts'
import {
  admitsMerge,
  memoryLimits,
  type MemtableLoad,
  mergeNeed,
  mustHold,
  pickFlush,
  pickGiver,
  readAheadBytes,
} from './memory-policy.ts'

const MIB = 1024 * 1024
const limits = memoryLimits(100 * MIB, 2)

function load(activeMib: number, sealedMib: number, maySeal = true): MemtableLoad {
  return { activeBytes: activeMib * MIB, sealedBytes: sealedMib * MIB, maySeal }
}

describe('writes', () => {
  test('are held back at the share of all memtables, and not before', () => {
    expect(limits.memtableBytes).toBe(40 * MIB)
    expect(mustHold(load(20, 10), 39 * MIB, limits)).toBe(false)
    expect(mustHold(load(20, 10), 40 * MIB, limits)).toBe(true)
  })

  test('of a database below its floor are never held back, whatever the others use', () => {
    expect(limits.floorBytes).toBe(5 * MIB)
    expect(mustHold(load(4, 0), 400 * MIB, limits)).toBe(false)
    expect(mustHold(load(4, 1), 400 * MIB, limits)).toBe(true)
    expect(memoryLimits(4 * MIB, 1_000).floorBytes).toBe(256 * 1024)
  })

  test('all floors together are a tenth of the budget, as long as it is large enough for that', () => {
    for (const databases of [1, 2, 7, 40]) expect(memoryLimits(100 * MIB, databases).floorBytes * databases).toBeCloseTo(10 * MIB, -2)
  })
})

describe('the flush that is asked for', () => {
  test('is that of the largest active memtable', () => {
    const loads = [load(10, 0), load(22, 0), load(5, 0)]
    expect(pickFlush(loads, limits)).toBe(loads[1])
  })

  test('is none while there is room, nor when enough is on its way already', () => {
    expect(pickFlush([load(17, 0), load(17, 0)], limits)).toBeUndefined()
    expect(pickFlush([load(10, 20), load(9, 0)], limits)).toBeUndefined()
  })

  test('is never that of a memtable below the floor, or of a database that has too many full ones', () => {
    const loads = [load(30, 0, false), load(4, 0), load(6, 0)]
    expect(pickFlush(loads, limits)).toBe(loads[2])
    expect(pickFlush([load(30, 0, false), load(4, 0)], limits)).toBeUndefined()
  })

  test('comes, or is under way, or is the own one, whenever writes are held back', () => {
    const random = new SeededRandom(7)
    for (let round = 0; round < 20_000; round++) {
      const databases = 1 + Math.floor(random.next() * 6)
      const some = memoryLimits(MIB * (4 + Math.floor(random.next() * 200)), databases)
      const part = (): number => Math.floor(random.next() ** 3 * some.memtableBytes)
      const loads = Array.from({ length: databases }, (): MemtableLoad => {
        const sealedBytes = random.next() < 0.5 ? 0 : part()
        return { activeBytes: part(), sealedBytes, maySeal: sealedBytes === 0 || random.next() < 0.5 }
      })
      const all = loads.reduce((sum, { activeBytes, sealedBytes }) => sum + activeBytes + sealedBytes, 0)
      for (const held of loads.filter((each) => mustHold(each, all, some))) {
        // Its own flush frees it, or it has something to seal, for which it needs nobody else.
        expect(held.sealedBytes > 0 || (held.maySeal && held.activeBytes >= some.floorBytes)).toBe(true)
      }
    }
  })
})

describe('caches', () => {
  test('the largest gives way, one that is empty never', () => {
    const caches = [3, 9, 4].map((bytes) => ({ size: () => bytes }))
    expect(pickGiver(caches)).toBe(caches[1])
    expect(pickGiver([{ size: () => 0 }])).toBeUndefined()
  })
})

describe('read-ahead and merges', () => {
  test('a scan gets what it wants, a part of what is free, or a block', () => {
    expect(readAheadBytes(2 * MIB, 100 * MIB)).toBe(2 * MIB)
    expect(readAheadBytes(2 * MIB, 8 * MIB)).toBe(MIB)
    expect(readAheadBytes(2 * MIB, 0)).toBe(16 * 1024)
    expect(readAheadBytes(4 * 1024, 0)).toBe(4 * 1024)
  })

  test('windows of a merge shrink until it fits into the share of merges, and no further than 64 KiB', () => {
    const need = mergeNeed(4 * MIB, 10, 2 * MIB, limits)
    expect(need.bytes).toBeLessThanOrEqual(limits.mergeBytes)
    expect(need.windowBytes).toBeLessThan(2 * MIB)
    expect(mergeNeed(4 * MIB, 2, 2 * MIB, limits).windowBytes).toBe(2 * MIB)
    expect(mergeNeed(64 * MIB, 10, 2 * MIB, limits).windowBytes).toBe(64 * 1024)
  })

  test('merges share their part; one that is larger than all of it runs alone', () => {
    expect(admitsMerge(20 * MIB, 5 * MIB, limits)).toBe(true)
    expect(admitsMerge(20 * MIB, 6 * MIB, limits)).toBe(false)
    expect(admitsMerge(500 * MIB, 0, limits)).toBe(true)
    expect(admitsMerge(500 * MIB, 1, limits)).toBe(false)
  })

  test('a budget without an end holds nothing back', () => {
    const endless = memoryLimits(Number.POSITIVE_INFINITY, 3)
    expect(mustHold(load(1000, 1000), 2000 * MIB, endless)).toBe(false)
    expect(pickFlush([load(1000, 0)], endless)).toBeUndefined()
    expect(mergeNeed(32 * MIB, 100, 2 * MIB, endless).windowBytes).toBe(2 * MIB)
    expect(admitsMerge(500 * MIB, 500 * MIB, endless)).toBe(true)
    expect(readAheadBytes(2 * MIB, Number.POSITIVE_INFINITY)).toBe(2 * MIB)
  })
})
