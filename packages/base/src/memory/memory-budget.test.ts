// Invariant: what is charged is given back, by release or by the closing of the account, and never twice; caches give way
// before anybody waits; whoever waits is woken when there may be room.
import { describe, expect, test } from 'vitest'
import type { GivingCache, MemoryAccount, MemtableFigures } from './memory-account.ts'
import { MemoryBudget } from './memory-budget.ts'

const MIB = 1024 * 1024

function figures(activeMib: number, sealedMib = 0): MemtableFigures {
  return { activeBytes: activeMib * MIB, sealedBytes: sealedMib * MIB, maySeal: true, heldBytes: 0, poolBytes: 0 }
}

/** A cache that is filled by the test. */
class TestCache implements GivingCache {
  bytes = 0
  readonly #account: MemoryAccount

  constructor(account: MemoryAccount) {
    this.#account = account
    account.addCache(this)
  }

  size(): number {
    return this.bytes
  }

  grow(bytes: number): void {
    this.bytes += bytes
    this.#account.charge('blockCache', bytes)
  }

  giveWay(bytes: number): void {
    const given = Math.min(this.bytes, bytes)
    this.bytes -= given
    this.#account.charge('blockCache', -given)
  }
}

/** The running count, which must agree with the sum of all categories. */
function counted(budget: MemoryBudget): number {
  const account = budget.join()
  const bytes = budget.totalBytes - account.budget.freeBytes
  account.close()
  expect(bytes).toBe(budget.stats().usedBytes)
  return bytes
}

class TestWriter {
  sealed = 0
  resumed = 0
  seal(): void {
    this.sealed++
  }
  resume(): void {
    this.resumed++
  }
}

describe('MemoryBudget', () => {
  test('is refused a size that is none', () => {
    for (const totalBytes of [0, -1, 1.5, Number.NaN, 4 * MIB - 1, '8' as unknown as number]) {
      expect(() => new MemoryBudget({ totalBytes })).toThrow(expect.objectContaining({ code: 'INVALID' }))
    }
  })

  test('counts by category, all databases together', () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const [one, two] = [budget.join(), budget.join()]
    one.setMemtables({ ...figures(3, 2), heldBytes: MIB, poolBytes: 2 * MIB })
    const hold = two.hold('uploads', 5 * MIB)
    two.hold('readAhead', MIB)
    new TestCache(two).grow(4 * MIB)
    expect(budget.stats()).toEqual({
      totalBytes: 100 * MIB,
      usedBytes: 18 * MIB,
      databases: 2,
      memtables: 5 * MIB,
      heldMemtables: MIB,
      memtablePool: 2 * MIB,
      blockCache: 4 * MIB,
      metadataCache: 0,
      uploads: 5 * MIB,
      readAhead: MIB,
    })
    expect(counted(budget)).toBe(18 * MIB)
    hold.release()
    hold.release()
    expect(budget.stats().uploads).toBe(0)
    one.close()
    two.close()
    expect(budget.stats()).toMatchObject({ usedBytes: 0, databases: 0 })
    expect(counted(budget)).toBe(0)
  })

  test('a release, a charge and a reservation after the account was closed count nothing', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const account = budget.join()
    const hold = account.hold('readAhead', MIB)
    const merge = await account.reserveMerge({ outputBytes: MIB, runs: 2, mostWindowBytes: MIB }, new AbortController().signal)
    account.close()
    hold.release()
    merge.release()
    account.charge('blockCache', MIB)
    account.setMemtables(figures(3))
    expect(budget.stats().usedBytes).toBe(0)
    expect(counted(budget)).toBe(0)
    expect(budget.join().budget.admitsMerge(100 * MIB)).toBe(true)
  })

  test('caches have what is left and give way, the largest first, of whichever database', () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const [idle, busy] = [budget.join(), budget.join()]
    const [large, small] = [new TestCache(idle), new TestCache(busy)]
    large.grow(90 * MIB)
    small.grow(10 * MIB)
    expect(busy.hasRoomFor(1)).toBe(false)
    small.grow(20 * MIB)
    expect([large.bytes, small.bytes]).toEqual([70 * MIB, 30 * MIB])
    busy.setMemtables(figures(35))
    expect([large.bytes, small.bytes]).toEqual([35 * MIB, 30 * MIB])
    expect(counted(budget)).toBe(100 * MIB)
    busy.hold('uploads', 500 * MIB)
    expect([large.bytes, small.bytes]).toEqual([0, 0])
  })

  test('a cache that keeps what it has is not asked for ever', () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const account = budget.join()
    account.addCache({ size: () => 60 * MIB, giveWay: () => {} })
    account.charge('metadataCache', 60 * MIB)
    const cache = new TestCache(account)
    cache.grow(40 * MIB)
    account.hold('uploads', 50 * MIB)
    expect(cache.bytes).toBe(0)
    expect(counted(budget)).toBe(110 * MIB)
  })

  test('a memtable that goes to the pool, and back, pushes no cache out', () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const account = budget.join()
    account.setMemtables(figures(20))
    const cache = new TestCache(account)
    cache.grow(80 * MIB)
    account.setMemtables({ ...figures(0), poolBytes: 20 * MIB })
    account.setMemtables({ ...figures(15), poolBytes: 5 * MIB })
    expect(cache.bytes).toBe(80 * MIB)
  })

  test('the largest active memtable is sealed when memory gets short, of whichever database', () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const accounts = [budget.join(), budget.join()] as const
    const writers = [new TestWriter(), new TestWriter()] as const
    accounts[0].setWriter(writers[0])
    accounts[1].setWriter(writers[1])
    accounts[0].setMemtables(figures(25))
    accounts[1].setMemtables(figures(6))
    expect(writers.map(({ sealed }) => sealed)).toEqual([0, 0])
    accounts[1].setMemtables(figures(11))
    expect(writers[0].sealed).toBeGreaterThan(0)
  })

  test('a writer that waits resumes when memtables became smaller, once for each time it had to wait', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const [one, two] = [budget.join(), budget.join()]
    const writer = new TestWriter()
    one.setWriter(writer)
    one.setMemtables(figures(0, 10))
    two.setMemtables(figures(0, 30))
    expect(one.mustHold()).toBe(true)
    await Promise.resolve()
    // Nothing became smaller.
    two.setMemtables(figures(0, 31))
    await Promise.resolve()
    expect(writer.resumed).toBe(0)
    two.setMemtables(figures(0, 20))
    await Promise.resolve()
    expect(writer.resumed).toBe(1)
    expect(one.mustHold()).toBe(false)
    two.setMemtables(figures(0, 10))
    await Promise.resolve()
    expect(writer.resumed).toBe(1)
  })

  test('pitfall 22: the closing of another database wakes writers and merges', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const [one, two] = [budget.join(), budget.join()]
    const writer = new TestWriter()
    one.setWriter(writer)
    one.setMemtables(figures(0, 10))
    two.setMemtables(figures(0, 30))
    expect(one.mustHold()).toBe(true)
    const never = new AbortController().signal
    const merge = { outputBytes: 10 * MIB, runs: 2, mostWindowBytes: MIB }
    await two.reserveMerge(merge, never)
    let begun = false
    const waiting = one.reserveMerge(merge, never).then(() => (begun = true))
    await Promise.resolve()
    expect(begun).toBe(false)
    two.close()
    await waiting
    expect(writer.resumed).toBe(1)
    expect(budget.stats().uploads).toBe(24 * MIB)
  })

  test('merges that wait get their turn one after another, and a signal ends the wait', async () => {
    const budget = new MemoryBudget({ totalBytes: 100 * MIB })
    const account = budget.join()
    const merge = { outputBytes: 10 * MIB, runs: 1, mostWindowBytes: MIB }
    const never = new AbortController().signal
    const first = await account.reserveMerge(merge, never)
    let underWay = 1
    let most = 1
    const others = Array.from({ length: 5 }, async () => {
      const room = await account.reserveMerge(merge, never)
      most = Math.max(most, ++underWay)
      await Promise.resolve()
      underWay--
      room.release()
    })
    const abort = new AbortController()
    const aborted = account.reserveMerge(merge, abort.signal)
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    underWay--
    first.release()
    await Promise.all(others)
    expect(most).toBe(1)
    expect(counted(budget)).toBe(0)
  })
})
