import { MemoryObjectStore } from 'moraine'
import { aggregatingState, int64, json, listState, mapState, openKeyedState, reducingState, utf8, valueState, float64 } from '@moraine/keyed-state'
import { expect, test } from 'vitest'

test('all kinds of state, a checkpoint, a reopening', async () => {
  const store = new MemoryObjectStore()
  const open = () => openKeyedState({ store, prefix: 'op' }, { keyCodec: utf8 })
  const a = await open()
  expect(a.restored).toBeUndefined()
  const declare = (b: Awaited<ReturnType<typeof open>>) => ({
    count: b.state(valueState('count', { codec: int64 })),
    list: b.state(listState('list', { codec: json })),
    seen: b.state(mapState('seen', { keyCodec: utf8, codec: json })),
    max: b.state(reducingState<number>('max', { codec: float64, reduce: (x, y) => Math.max(x, y) })),
    avg: b.state(
      aggregatingState<number, { n: number; s: number }, number>('avg', {
        codec: json<{ n: number; s: number }>(),
        create: () => ({ n: 0, s: 0 }),
        add: (acc, x) => ({ n: acc.n + 1, s: acc.s + x }),
        result: (acc) => acc.s / acc.n,
        merge: (x, y) => ({ n: x.n + y.n, s: x.s + y.s }),
      }),
    ),
  })
  const s = declare(a)
  expect(await s.count.of('u').get()).toBeUndefined()
  await s.count.of('u').update((n) => (n ?? 0n) + 1n)
  await s.count.of('u').update((n) => (n ?? 0n) + 1n)
  await s.list.of('u').addAll([1, 'x', null])
  await s.seen.of('u').set('b', 2)
  await s.seen.of('u').set('a', 1)
  await s.max.of('u').add(3)
  await s.max.of('u').add(2)
  await s.avg.of('u', 'w').add(3)
  await s.avg.of('u', 'w').add(5)
  const cp = await a.checkpoint({ metadata: { offsets: [1] } })
  await s.count.of('u').set(99n)
  await s.list.of('u').add('later')
  await s.seen.of('u').clear()
  await a.close()
  const b = await open()
  expect(b.restored).toEqual({ checkpointId: cp.id, metadata: { offsets: [1] }, sources: [] })
  const t = declare(b)
  expect(await t.count.of('u').get()).toBe(2n)
  expect(await t.list.of('u').get()).toEqual([1, 'x', null])
  const entries = []
  for await (const entry of t.seen.of('u').entries()) entries.push(entry)
  expect(entries).toEqual([['a', 1], ['b', 2]])
  expect(await t.max.of('u').get()).toBe(3)
  expect(await t.avg.of('u', 'w').get()).toBe(4)
  const keys = []
  for await (const k of t.avg.keys()) keys.push(k)
  expect(keys).toEqual([{ key: 'u', namespace: 'w' }])
  const all = []
  for await (const e of b.stateOfKey('u')) all.push(`${e.state}:${String(e.value)}`)
  expect(all.sort()).toHaveLength(8)
  const fired: string[] = []
  b.timers.onTimer(async ({ key, time, namespace, domain }) => {
    fired.push(`${key} ${time} ${String(namespace)} ${domain}`)
    if (time === 10) await b.timers.register({ key: 'z', time: 15, domain: 'event' })
    await t.count.of(key).update((n) => (n ?? 0n) + 1n)
    await expect(b.checkpoint()).rejects.toMatchObject({ code: 'INVALID' })
  })
  await b.timers.register({ key: 'u', time: 20, domain: 'event', namespace: 'w' })
  await b.timers.register({ key: 'u', time: 20, domain: 'event', namespace: 'w' })
  await b.timers.register({ key: 'v', time: 10, domain: 'event' })
  await b.timers.register({ key: 'v', time: 30, domain: 'event' })
  await b.advanceWatermark(25)
  expect(fired).toEqual(['v 10 undefined event', 'z 15 undefined event', 'u 20 w event'])
  await expect(t.count.of('u').update(async (n) => { await t.count.of('u').get(); return n })).rejects.toMatchObject({ code: 'INVALID' })
  expect(await t.count.of('u').update(async (n) => { await t.count.of('x').get(); return (n ?? 0n) * 2n })).toBe(6n)
  await b.checkpoint({ metadata: 5 })
  await b.close()
  const c = await open()
  expect(c.restored?.metadata).toBe(5)
  expect(c.watermark).toBe(25)
  c.timers.onTimer(({ time }) => { fired.push(String(time)) })
  await c.advanceWatermark(40)
  expect(fired.at(-1)).toBe('30')
  await c.close()
})
