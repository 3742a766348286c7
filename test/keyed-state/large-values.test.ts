// Invariant: a state with separated values is a state like any other, wherever it is looked at; only its large values lie in
// blob files.
import { utf8Encode } from '@moraine/base'
import {
  exportSavepoint,
  importSavepoint,
  int64,
  json,
  listState,
  mapState,
  openKeyedStateReader,
  rescaleKeyedState,
  utf8,
  valueState,
} from '@moraine/keyed-state'
import { clone, MemoryObjectStore, open, type ObjectStore, verify } from 'moraine'
import { expect, test, vi } from 'vitest'
import { collect, type Job, openJob, SMALL_ENGINE } from './keyed-job.ts'

const SIZE = { largeValueBytes: 256 }
const KEYS = Array.from({ length: 40 }, (_, i) => `key-${i}`)
const text = (name: string): string => `${name} `.padEnd(900, 'x')

function declare(job: Job) {
  return {
    count: job.state(valueState('count', { codec: int64 })),
    row: job.state(valueState('row', { codec: utf8, separateLargeValues: true })),
    rows: job.state(mapState('rows', { keyCodec: utf8, codec: json<{ text: string }>(), separateLargeValues: true })),
    log: job.state(listState('log', { codec: utf8, separateLargeValues: true })),
  }
}

async function fill(job: Job): Promise<void> {
  const { count, row, rows, log } = declare(job)
  for (const [i, key] of KEYS.entries()) {
    await count.of(key).set(BigInt(i))
    await row.of(key).set(text(`row ${key}`))
    await row.of(key, 'window').set('small')
    for (const field of ['a', 'b']) await rows.of(key).set(field, { text: text(`${field} ${key}`) })
    await log.of(key).addAll([text('first'), 'second'])
  }
  await rows.of('gone').set('a', { text: text('gone') })
  await rows.of('gone').clear()
  await log.of('gone').add(text('gone'))
  await log.of('gone').clear()
  await row.of('gone').set(text('gone'))
  await row.of('gone').clear()
}

/** Compares what the jobs hold, in every way there is to look. */
async function check(...jobs: Job[]): Promise<void> {
  const seen: string[] = []
  for (const job of jobs) {
    const { count, row, rows, log } = declare(job)
    await job.warmUp({ states: ['row'] })
    const mine = (await collect(row.keys())).filter(({ namespace }) => namespace === undefined).map(({ key }) => key)
    seen.push(...mine)
    expect((await collect(rows.keys())).map(({ key }) => key).sort()).toEqual(mine.toSorted())
    expect((await collect(log.keys())).map(({ key }) => key).sort()).toEqual(mine.toSorted())
    await job.prefetch(mine)
    for (const key of mine) {
      expect(await count.of(key).get()).toBe(BigInt(KEYS.indexOf(key)))
      expect(await row.of(key).get()).toBe(text(`row ${key}`))
      expect(await row.of(key, 'window').get()).toBe('small')
      expect(await rows.of(key).get('b')).toEqual({ text: text(`b ${key}`) })
      expect((await collect(rows.of(key).entries())).map(([field, value]) => [field, value.text])).toEqual([['a', text(`a ${key}`)], ['b', text(`b ${key}`)]])
      expect(await log.of(key).get()).toEqual([text('first'), 'second'])
    }
    const some = mine[0] as string
    expect((await collect(job.stateOfKey(some))).map(({ state }) => state).sort()).toEqual(['count', 'log', 'log', 'row', 'row', 'rows', 'rows'])
  }
  expect(seen.sort()).toEqual(KEYS.toSorted())
}

async function blobs(store: ObjectStore, prefix: string): Promise<number> {
  return (await store.list(`${prefix}/blob/`)).objects.length
}

test('checkpoints, kills, clones and rescaling take it along, and its large values only are in blob files', async () => {
  const store = new MemoryObjectStore()
  let job = await openJob(store, 'one', SIZE)
  await fill(job)
  const { id } = await job.checkpoint({ metadata: 1 })
  expect(await blobs(store, 'one')).toBeGreaterThan(0)
  const spaces = job.stats().engine.keyspaces
  expect(spaces.map(({ name }) => name)).toEqual(['', 'large-values'])
  for (const key of KEYS) await declare(job).row.of(key).set(text('not in the checkpoint'))
  await declare(job).rows.of('key-1').clear()
  // Killed: the next one fences it.
  const killed = job
  job = await openJob(store, 'one', SIZE)
  await check(job)
  await killed.close().catch(() => {})
  await job.checkpoint()
  await job.close()

  await clone({ store, prefix: 'one' }, { store, prefix: 'copy' }, { checkpoint: id })
  const copy = await openJob(store, 'copy', SIZE)
  await check(copy)
  await copy.close()

  const two = ['two-0', 'two-1'].map((prefix) => ({ store, prefix }))
  await rescaleKeyedState([{ location: { store, prefix: 'one' } }], two)
  const halves = await Promise.all(two.map(({ prefix }) => openJob(store, prefix, SIZE)))
  await check(...halves)
  for (const half of halves) {
    await half.checkpoint()
    await half.close()
  }
  await rescaleKeyedState(two.map((location) => ({ location })), [{ store, prefix: 'united' }])
  const united = await openJob(store, 'united', SIZE)
  await check(united)
  await united.close()
  for (const prefix of ['one', 'copy', 'two-0', 'two-1', 'united']) expect((await verify({ store, prefix }, { deep: true })).problems).toEqual([])
})

test('a database without such a state has no blob files and no keyspace', async () => {
  const store = new MemoryObjectStore()
  const job = await openJob(store, 'job', SIZE)
  for (const key of KEYS) await job.state(valueState('row', { codec: utf8 })).of(key).set(text(key))
  await job.checkpoint()
  expect(await blobs(store, 'job')).toBe(0)
  expect(job.stats().engine.keyspaces.map(({ name }) => name)).not.toContain('large-values')
  await job.close()
})

test('readers and savepoints find it', async () => {
  const store = new MemoryObjectStore()
  const job = await openJob(store, 'job', SIZE)
  await fill(job)
  await job.checkpoint()
  await job.close()
  const reader = await openKeyedStateReader<string>({ store, prefix: 'job' })
  expect(await reader.state('row').of('key-3').get()).toBe(text('row key-3'))
  expect(await reader.state('rows').of('key-3').get('a')).toEqual({ text: text('a key-3') })
  expect(await reader.state('log').of('key-3').get()).toEqual([text('first'), 'second'])
  expect(await reader.state('row').of('gone').get()).toBeUndefined()
  expect(await collect(reader.state('rows').keys())).toHaveLength(KEYS.length)
  await reader.close()
  const lines = await collect(exportSavepoint({ store, prefix: 'job' }))
  await importSavepoint(lines, { store, prefix: 'back' })
  const back = await openJob(store, 'back', SIZE)
  await check(back)
  await back.close()
  // The way to change the option: it is a word in the header.
  const plain = lines.map((line, i) => (i === 0 ? line.replaceAll(',"separated":true', '') : line))
  await importSavepoint(plain, { store, prefix: 'plain' })
  const inline = await openJob(store, 'plain')
  expect(await inline.state(valueState('row', { codec: utf8 })).of('key-3').get()).toBe(text('row key-3'))
  await inline.close()
})

test.each([true, false])('compactions remove what has expired (%s), also of a state that the program does not declare any more', async (removeExpired) => {
  const store = new MemoryObjectStore()
  let now = 1_000
  const engine = { ...SMALL_ENGINE, level0CompactionTrigger: 1 }
  const options = { ...SIZE, ttlClock: () => now, engine, removeExpired }
  let job = await openJob(store, 'job', options)
  const brief = valueState('brief', { codec: utf8, ttl: { ms: 100 }, separateLargeValues: true })
  for (const key of KEYS) await job.state(brief).of(key).set(text(key))
  await job.checkpoint()
  await job.close()
  now = 2_000
  job = await openJob(store, 'job', options)
  const other = job.state(valueState('other', { codec: utf8, separateLargeValues: true }))
  for (let round = 0; round < 4; round++) {
    for (const key of KEYS) await other.of(key).set(text(key))
    await job.checkpoint()
  }
  await vi.waitFor(() => expect(job.stats().engine.compaction.running).toBeUndefined())
  await job.close()
  const db = await open({ store, prefix: 'job' }, { wal: 'none', workerThreads: 0 })
  expect(await collect(db.keyspace('large-values').scan({}))).toHaveLength(removeExpired ? KEYS.length : KEYS.length * 2)
  await db.close()
})

test('the option of a state cannot be changed, and is true or false', async () => {
  const store = new MemoryObjectStore()
  let job = await openJob(store, 'job', SIZE)
  await fill(job)
  await job.checkpoint()
  await job.close()
  job = await openJob(store, 'job', SIZE)
  expect(() => job.state(valueState('row', { codec: utf8 }))).toThrow(/'row' holds separated values and is declared with no separated values/)
  expect(() => job.state(valueState('count', { codec: int64, separateLargeValues: true }))).toThrow(expect.objectContaining({ code: 'INVALID' }))
  expect(() => job.state(valueState('new', { codec: utf8, separateLargeValues: 5 as never }))).toThrow(/must be true or false/)
  job.state(valueState('new', { codec: utf8, separateLargeValues: false }))
  job.state(valueState('new', { codec: utf8 }))
  expect(() => job.state(valueState('new', { codec: utf8, separateLargeValues: true }))).toThrow(/declared twice/)
  await check(job)
  await job.close()
  // The size may be another one each time.
  job = await openJob(store, 'job', { largeValueBytes: 100_000 })
  await check(job)
  await job.close()
  for (const largeValueBytes of [0, 255, 1.5, '1']) {
    await expect(openJob(store, 'job', { largeValueBytes: largeValueBytes as number })).rejects.toMatchObject({ code: 'INVALID' })
  }
  await expect(openJob(store, 'job', { engine: { keyspaces: { 'large-values': {} } } })).rejects.toMatchObject({ code: 'INVALID' })
  expect(utf8Encode(text('')).length).toBeGreaterThan(SIZE.largeValueBytes)
})
