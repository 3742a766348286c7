// Invariant: a timer fires once, when its time has come, in the order of time over all keys; timers are state like any other:
// they survive restarts and rescaling, and a checkpoint has those that had not fired.
import { Deferred, SeededRandom } from '@moraine/base'
import { SimulatedClock } from '@moraine/testing'
import { int64, openKeyedState, rescaleKeyedState, type TimerHandler, utf8, valueState } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { describe, expect, test } from 'vitest'
import { type Job, openJob } from './keyed-job.ts'

function record(job: Job): string[] {
  const fired: string[] = []
  job.timers.onTimer(({ key, time, namespace, domain }) => {
    fired.push(`${domain[0]} ${time} ${key}${namespace === undefined ? '' : ` ${String(namespace)}`}`)
  })
  return fired
}

describe('event timers', () => {
  test('fire in the order of time, then of key and namespace, each once', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const fired = record(job)
    for (const [key, time, namespace] of [['b', 5, undefined], ['a', 5, 'w2'], ['a', 5, 'w1'], ['a', 5, undefined], ['z', -3, undefined], ['c', 4, undefined], ['c', 4, undefined], ['d', 9, undefined]] as const) {
      await job.timers.register({ key, time, domain: 'event', ...(namespace !== undefined && { namespace }) })
    }
    await job.timers.delete({ key: 'b', time: 5, domain: 'event' })
    await job.timers.delete({ key: 'nobody', time: 5, domain: 'event' })
    await job.advanceWatermark(5)
    expect(fired).toEqual(['e -3 z', 'e 4 c', 'e 5 a', 'e 5 a w1', 'e 5 a w2'])
    await job.advanceWatermark(5)
    expect(fired).toHaveLength(5)
    await job.close()
  })

  test('none is registered at or below the watermark, and the state stays as it was', async () => {
    const store = new MemoryObjectStore()
    let job = await openJob(store, 'job')
    let fired = record(job)
    // Before there is a watermark there is no past.
    await job.timers.register({ key: 'a', time: -1_000_000, domain: 'event' })
    await job.advanceWatermark(100)
    for (const time of [100, 99, -5]) {
      await expect(job.timers.register({ key: 'a', time, domain: 'event' })).rejects.toMatchObject({ code: 'INVALID', detail: { domain: 'event', time } })
      await expect(job.process('a', () => job.timers.register({ key: 'a', time, domain: 'event' }))).rejects.toThrow(/the watermark is at 100/)
    }
    // Also when the call waits for a checkpoint, whose gate has to open for the others.
    const taken = job.checkpoint()
    const late = job.timers.register({ key: 'a', time: 7, domain: 'event' })
    const next = job.timers.register({ key: 'a', time: 101, domain: 'event' })
    await expect(late).rejects.toMatchObject({ code: 'INVALID' })
    await Promise.all([taken, next])
    await job.advanceWatermark(100)
    await job.checkpoint()
    await job.close()
    job = await openJob(store, 'job')
    await expect(job.timers.register({ key: 'a', time: 100, domain: 'event' })).rejects.toMatchObject({ code: 'INVALID' })
    expect(fired).toEqual(['e -1000000 a'])
    fired = record(job)
    await job.advanceWatermark(1_000)
    expect(fired).toEqual(['e 101 a'])
    await job.close()
  })

  test('in a handler, the present is the time of its timer, whoever else registers meanwhile', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const fired: string[] = []
    const refused: string[] = []
    const tryTo = (who: string, time: number) => job.timers.register({ key: who, time, domain: 'event' }).catch((error: Error) => void refused.push(`${who} ${time}: ${error.message}`))
    const during = new Deferred<void>()
    const outside = during.promise.then(() => tryTo('outside', 8))
    job.timers.onTimer(async ({ key, time }) => {
      fired.push(`${time} ${key}`)
      if (key !== 'a') return
      during.resolve()
      await outside
      await tryTo('below', 4)
      await tryTo('same', 5)
      // A handler inside the handler, which has to wait for another one of its key.
      const busy = new Deferred<void>()
      const first = job.process('k', () => busy.promise)
      const second = job.process('k', () => tryTo('nested', 6))
      busy.resolve()
      await Promise.all([first, second])
      await tryTo('above', 11)
      await expect(job.timers.register({ key: 'b', time: -1_000_000, domain: 'processing' })).rejects.toMatchObject({ code: 'INVALID' })
    })
    for (const [key, time] of [['a', 5], ['z', 9]] as const) await job.timers.register({ key, time, domain: 'event' })
    await job.advanceWatermark(10)
    expect(fired).toEqual(['5 a', '5 same', '6 nested', '9 z'])
    expect(refused).toEqual([expect.stringMatching(/^outside 8: .*watermark is at 10/), expect.stringMatching(/^below 4: .*timer is of 5/)])
    await job.advanceWatermark(11)
    expect(fired.at(-1)).toBe('11 above')
    await job.close()
  })

  test('a handler may register and delete timers, also such as are due, and use state', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const count = job.state(valueState('count', { codec: int64 }))
    const fired: string[] = []
    job.timers.onTimer(async ({ key, time }) => {
      fired.push(`${time} ${key}`)
      await count.of(key).update((n) => (n ?? 0n) + 1n)
      if (time === 1 && key === 'a') {
        await job.timers.register({ key: 'a', time: 2, domain: 'event' })
        await job.timers.register({ key: 'b', time: 1, domain: 'event' })
        await job.timers.delete({ key: 'b', time: 3, domain: 'event' })
      }
    })
    for (const [key, time] of [['a', 1], ['b', 3], ['c', 3]] as const) await job.timers.register({ key, time, domain: 'event' })
    await job.advanceWatermark(10)
    expect(fired).toEqual(['1 a', '1 b', '2 a', '3 c'])
    expect(await count.of('a').get()).toBe(2n)
    await job.close()
  })

  test('one whose handler failed fires again; those before it do not', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    const fired: number[] = []
    let broken = true
    let base = 0
    for (const handler of [({ time }) => { fired.push(time); if (broken && time % 100 === 2) throw new Error('sync') }, async ({ time }) => { fired.push(time); if (broken && time % 100 === 2) throw new Error('async') }] satisfies TimerHandler<string>[]) {
      broken = true
      fired.length = 0
      job.timers.onTimer(handler)
      for (const time of [1, 2, 3]) await job.timers.register({ key: 'a', time: base + time, domain: 'event' })
      await expect(job.advanceWatermark(base + 10)).rejects.toThrow(/sync/)
      broken = false
      await job.advanceWatermark(base + 10)
      expect(fired.map((time) => time - base)).toEqual([1, 2, 2, 3])
      base += 100
    }
    await job.close()
  })

  test('due timers without a handler are INVALID, and the watermark stays', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    await job.advanceWatermark(1)
    await job.timers.register({ key: 'a', time: 5, domain: 'event' })
    await job.advanceWatermark(4)
    await expect(job.advanceWatermark(5)).rejects.toMatchObject({ code: 'INVALID' })
    expect(job.watermark).toBe(4)
    const fired = record(job)
    await job.advanceWatermark(5)
    expect(fired).toEqual(['e 5 a'])
    await job.close()
  })

  test('what is no timer is INVALID', async () => {
    const job = await openJob(new MemoryObjectStore(), 'job')
    for (const time of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, '5', undefined]) {
      await expect(job.timers.register({ key: 'a', time: time as number, domain: 'event' })).rejects.toMatchObject({ code: 'INVALID' })
      await expect(job.advanceWatermark(time as number)).rejects.toMatchObject({ code: 'INVALID' })
    }
    await expect(job.timers.register({ key: 'a', time: 1, domain: 'wall' as never })).rejects.toMatchObject({ code: 'INVALID' })
    await expect(job.timers.register({ key: 1 as never, time: 1, domain: 'event' })).rejects.toMatchObject({ code: 'INVALID' })
    expect(() => job.timers.onTimer(1 as never)).toThrow(/function/)
    await job.close()
  })
})

describe('many timers', () => {
  test('in random order with deletions, over restarts and rescaling, against a sorted list', async () => {
    const store = new MemoryObjectStore()
    const random = new SeededRandom(7)
    const expected = new Set<string>()
    let job = await openJob(store, 'one')
    job.timers.onTimer(() => {})
    const draw = () => ({ key: `key-${random.below(50)}`, time: random.below(3_000), domain: 'event' as const })
    for (let i = 0; i < 6_000; i++) {
      const timer = draw()
      const name = `${String(timer.time).padStart(5, '0')} ${timer.key}`
      if (random.chance(0.8)) {
        await job.timers.register(timer)
        expected.add(name)
      } else {
        await job.timers.delete(timer)
        expected.delete(name)
      }
      if (i === 3_000) {
        await job.checkpoint()
        await job.close()
        job = await openJob(store, 'one')
        job.timers.onTimer(() => {})
      }
    }
    const take = (upTo: number) => [...expected].filter((name) => Number(name.slice(0, 5)) <= upTo).sort((a, b) => Number(a.slice(0, 5)) - Number(b.slice(0, 5)))
    const spell = (fired: readonly string[]) => fired.map((line) => line.replace(/^e (\d+)/, (_, time: string) => time.padStart(5, '0')))
    const first = record(job)
    await job.advanceWatermark(1_000)
    expect(spell(first).map((name) => name.slice(0, 5))).toEqual(take(1_000).map((name) => name.slice(0, 5)))
    expect(spell(first).sort()).toEqual(take(1_000).sort())
    for (const name of take(1_000)) expected.delete(name)
    await job.checkpoint()
    await job.close()
    const targets = [0, 1, 2].map((i) => ({ store, prefix: `part-${i}` }))
    await rescaleKeyedState([{ location: { store, prefix: 'one' } }], targets)
    const rest: string[] = []
    for (const { prefix } of targets) {
      const part = await openJob(store, prefix)
      expect(part.watermark).toBe(1_000)
      const fired = record(part)
      await part.advanceWatermark(5_000)
      const times = spell(fired).map((name) => name.slice(0, 5))
      expect(times).toEqual(times.toSorted())
      rest.push(...spell(fired))
      await part.close()
    }
    expect(rest.sort()).toEqual([...expected].sort())
  })

  test('those in memory are few, however many there are', async () => {
    const store = new MemoryObjectStore()
    let job = await openJob(store, 'job', { keyGroups: { total: 2, first: 0, last: 1 } })
    const random = new SeededRandom(3)
    for (let i = 0; i < 5_000; i++) await job.timers.register({ key: `key-${random.below(100)}`, time: random.below(100_000), domain: 'event' })
    await job.checkpoint()
    await job.close()
    job = await openJob(store, 'job')
    const times: number[] = []
    job.timers.onTimer(({ time, key }) => {
      times.push(time)
      // A chain of timers that are nearer than those in the database.
      if (time % 7 === 0 && time < 90_000) void job.timers.register({ key, time: time + 1, domain: 'event' })
    })
    for (let watermark = 0; watermark <= 100_000; watermark += 9_000) await job.advanceWatermark(watermark)
    await job.advanceWatermark(100_000)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times.length).toBeGreaterThan(5_500)
    await job.close()
  })
})

describe('processing timers', () => {
  test('fire by themselves when the clock comes to their time, in order, and survive a restart', async () => {
    const clock = new SimulatedClock()
    const store = new MemoryObjectStore()
    const start = clock.nowMs()
    const open = () => openKeyedState({ store, prefix: 'job' }, { keyCodec: utf8, clock, engine: { fenceCheckIntervalMs: 0, gcIntervalMs: 0 } })
    let job = await open()
    let fired = record(job)
    for (const offset of [300, 100, 200, 400]) await job.timers.register({ key: 'a', time: start + offset, domain: 'processing' })
    await clock.advance(99)
    expect(fired).toEqual([])
    await clock.advance(1)
    expect(fired).toEqual([`p ${start + 100} a`])
    await clock.advance(110)
    expect(fired).toEqual([`p ${start + 100} a`, `p ${start + 200} a`])
    await job.checkpoint()
    await job.close()
    job = await open()
    fired = record(job)
    await clock.advance(500)
    expect(fired).toEqual([`p ${start + 300} a`, `p ${start + 400} a`])
    await job.close()
  })

  test('what falls due while handlers run waits for the next turn, so that the watermark has one', async () => {
    let now = 1_000
    const job = await openKeyedState({ store: new MemoryObjectStore(), prefix: 'job' }, { keyCodec: utf8, clock: new SimulatedClock(), ttlClock: () => now })
    const fired: string[] = []
    job.timers.onTimer(async ({ key, domain }) => {
      fired.push(`${domain[0]} ${key}`)
      // Slower than the period, so that the next one is always due; without an end the test would not fail, but hang.
      now += 5
      if (domain === 'processing' && fired.length < 1_000) await job.timers.register({ key, time: now - 1, domain: 'processing' })
    })
    for (const key of ['a', 'b']) await job.timers.register({ key, time: 1_000, domain: 'processing' })
    await job.timers.register({ key: 'c', time: 7, domain: 'event' })
    const turns = [job.advanceProcessingTime(), job.advanceWatermark(7), job.advanceProcessingTime()]
    await Promise.all(turns)
    expect(fired).toEqual(['p a', 'p b', 'e c', 'p a', 'p b'])
    await job.close()
  })

  test('one that is a little late fires at the next advance; more than a minute is INVALID, but not for a handler that catches up', async () => {
    let now = 1_000_000
    const job = await openKeyedState({ store: new MemoryObjectStore(), prefix: 'job' }, { keyCodec: utf8, clock: new SimulatedClock(), ttlClock: () => now })
    const fired: number[] = []
    job.timers.onTimer(async ({ key, time }) => {
      fired.push(time)
      if (key === 'periodic' && time < 1_500_000) await job.timers.register({ key, time: time + 200_000, domain: 'processing' })
      if (key === 'back') await job.timers.register({ key, time: time - 1, domain: 'processing' })
    })
    await job.timers.register({ key: 'a', time: 940_000, domain: 'processing' })
    await expect(job.timers.register({ key: 'a', time: 939_999, domain: 'processing' })).rejects.toThrow(/processing time 939999 is in the past; the processing time is 1000000/)
    await job.advanceProcessingTime()
    expect(fired).toEqual([940_000])
    // A timer of every 200 s, on a machine that has slept for an hour.
    await job.timers.register({ key: 'periodic', time: 1_100_000, domain: 'processing' })
    now += 3_600_000
    await job.advanceProcessingTime()
    expect(fired).toEqual([940_000, 1_100_000, 1_300_000, 1_500_000])
    await job.timers.register({ key: 'back', time: now - 60_000, domain: 'processing' })
    await expect(job.advanceProcessingTime()).rejects.toMatchObject({ code: 'INVALID' })
    await job.close()
  })

  test('can be driven by hand, and a failing handler is reported and tried again', async () => {
    let now = 1_000
    const errors: unknown[] = []
    const clock = new SimulatedClock()
    const job = await openKeyedState({ store: new MemoryObjectStore(), prefix: 'job' }, { keyCodec: utf8, clock, ttlClock: { nowMs: () => now }, onError: (error) => errors.push(error) })
    let broken = true
    const fired: number[] = []
    job.timers.onTimer(({ time }) => {
      if (broken) throw new Error('not yet')
      fired.push(time)
    })
    await job.timers.register({ key: 'a', time: 1_500, domain: 'processing' })
    await job.advanceProcessingTime()
    expect(fired).toEqual([])
    now = 1_600
    await expect(job.advanceProcessingTime()).rejects.toThrow('not yet')
    await clock.advance(10_000)
    expect(errors.length).toBeGreaterThan(0)
    broken = false
    await clock.advance(10_000)
    expect(fired).toEqual([1_500])
    await job.timers.register({ key: 'a', time: 9_000, domain: 'processing' })
    await job.advanceProcessingTime(9_000)
    expect(fired).toEqual([1_500, 9_000])
    await job.close()
  })
})
