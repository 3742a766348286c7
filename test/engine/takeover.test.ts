// Invariant: a database that was closed is free, one that was not belongs to its owner: `fail` refuses to take it, `wait`
// waits until it is closed, `steal` takes it.
import { MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET } from './subject.ts'

describe('takeover', () => {
  test('fail: CONFLICT while the owner lives, with the owner named; free once it has closed', async () => {
    const store = new MemoryObjectStore()
    const owner = await open({ store }, QUIET)
    await expect(open({ store }, { ...QUIET, takeover: 'fail' })).rejects.toMatchObject({
      code: 'CONFLICT',
      detail: { epoch: 1 },
      message: expect.stringContaining(`process ${process.pid}`) as string,
    })
    await owner.put('a', '1', { durability: 'store' })
    await owner.close()
    const next = await open({ store }, { ...QUIET, takeover: 'fail' })
    expect(await contents(next)).toEqual({ a: '1' })
    expect(next.stats().epoch).toBe(2)
    await next.close()
  })

  test('fail: a killed owner counts as living, and steal is the way past it', async () => {
    const store = new MemoryObjectStore()
    await open({ store }, QUIET)
    expect(await outcomeOf(open({ store }, { ...QUIET, takeover: 'fail' }))).toBe('CONFLICT')
    const thief = await open({ store }, { ...QUIET, takeover: 'steal' })
    expect(thief.stats().epoch).toBe(2)
    await thief.close()
  })

  test('wait: opens when the owner has closed, and has what it wrote last', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const owner = await open({ store }, { ...QUIET, clock })
    let opened = false
    const waiting = open({ store }, { ...QUIET, clock, takeover: 'wait' }).then((db) => {
      opened = true
      return db
    })
    await clock.advance(10_000)
    expect(opened).toBe(false)
    await owner.put('last', 'words')
    await owner.close()
    const next = await clock.drive(waiting, 10_000)
    expect(await contents(next)).toEqual({ last: 'words' })
    await next.close()
  })

  test('wait: of two that wait for one owner, the second waits for the first', async () => {
    const store = new MemoryObjectStore()
    const clock = new SimulatedClock()
    const owner = await open({ store }, { ...QUIET, clock })
    const opened: string[] = []
    const waiters = ['x', 'y'].map((who) =>
      open({ store }, { ...QUIET, clock, takeover: 'wait' }).then((db) => {
        opened.push(who)
        return db
      }),
    )
    await clock.advance(2_000)
    await owner.close()
    const first = await clock.drive(Promise.race(waiters), 10_000)
    await clock.advance(10_000)
    expect(opened).toHaveLength(1)
    await first.put('by', 'first')
    await first.close()
    const both = await clock.drive(Promise.all(waiters), 10_000)
    const second = both.find((db) => db !== first)
    expect(second === undefined ? undefined : await contents(second)).toEqual({ by: 'first' })
    await second?.close()
  })

  test('an idle owner that was closed leaves the database released', async () => {
    const store = new MemoryObjectStore()
    await (await open({ store }, QUIET)).close()
    await (await open({ store }, { ...QUIET, takeover: 'fail' })).close()
    const db = await open({ store }, { ...QUIET, takeover: 'fail' })
    expect(db.stats().epoch).toBe(3)
    await db.close()
  })
})
