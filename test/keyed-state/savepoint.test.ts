// Invariant: a savepoint is the whole of a checkpoint as text that people and scripts can change, and loading it gives the same
// state, whatever the number of key groups and databases.
import { execFile } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import {
  bigint,
  bytes,
  type Codec,
  exportSavepoint,
  float64,
  importSavepoint,
  int64,
  json,
  listState,
  mapState,
  msgpack,
  openKeyedState,
  reducingState,
  utf8,
  valueState,
} from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { collect } from './keyed-job.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-savepoint-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const point: Codec<{ x: number; y: number }> = {
  name: 'point',
  version: 1,
  encode: ({ x, y }) => Uint8Array.of(x, y),
  decode: ([x = 0, y = 0]) => ({ x, y }),
}

const own = {
  count: valueState('count', { codec: int64 }),
  blob: valueState('blob', { codec: bytes, ttl: { ms: 1_000_000, time: 'event' } }),
  place: valueState('place', { codec: point }),
  odd: valueState('odd', { codec: msgpack }),
  log: listState('log', { codec: json }),
  seen: mapState('seen', { keyCodec: bigint, codec: float64 }),
  max: reducingState<number>('max', { codec: float64, reduce: Math.max }),
}

const ODD = { big: 2n ** 60n, at: new Date(0), bytes: Uint8Array.of(1, 2), nan: Number.NaN, $: 'marked', list: [null, true] }

async function fill(store: MemoryObjectStore): Promise<void> {
  const job = await openKeyedState({ store, prefix: 'from' }, { keyCodec: utf8 })
  await job.advanceWatermark(1_000)
  for (let i = 0; i < 60; i++) {
    const key = `schlüssel "${i}"\n`
    await job.state(own.count).of(key).set(BigInt(i))
    await job.state(own.count).of(key, ['window', i, -1.5]).set(BigInt(-i))
    await job.state(own.blob).of(key).set(Uint8Array.of(i, 0, 255))
    await job.state(own.place).of(key).set({ x: i, y: 1 })
    await job.state(own.odd).of(key).set(ODD)
    await job.state(own.log).of(key).addAll([i, `text ${i}`, { deep: [i] }])
    await job.state(own.seen).of(key).set(BigInt(i) ** 20n, Number.NaN)
    await job.state(own.seen).of(key).set(-5n, Number.NEGATIVE_INFINITY)
    await job.state(own.max).of(key, 7n).add(i)
    await job.timers.register({ key, time: 2_000 + i, domain: 'event', namespace: 'n' })
    await job.timers.register({ key, time: 9_000_000_000_000 + i, domain: 'processing' })
  }
  await job.checkpoint({ metadata: { offsets: [1, 2] }, name: 'saved' })
  await job.state(own.count).of('later').set(1n)
  await job.close()
}

async function expectFilled(prefixes: readonly string[], store: MemoryObjectStore, total: number): Promise<void> {
  let keys = 0
  const fired: string[] = []
  for (const prefix of prefixes) {
    const job = await openKeyedState({ store, prefix }, { keyCodec: utf8 })
    expect(job.restored?.metadata).toEqual({ offsets: [1, 2] })
    expect(job.keyGroups.total).toBe(total)
    expect(job.watermark).toBe(1_000)
    for (const { key, namespace } of await collect(job.state(own.count).keys())) {
      const i = Number(/\d+/.exec(key)?.[0])
      if (namespace !== undefined) {
        expect(namespace).toEqual(['window', i, -1.5])
        continue
      }
      keys++
      expect(await job.state(own.count).of(key).get()).toBe(BigInt(i))
      expect(await job.state(own.count).of(key, ['window', i, -1.5]).get()).toBe(BigInt(-i))
      expect(await job.state(own.blob).of(key).get()).toEqual(Uint8Array.of(i, 0, 255))
      expect(await job.state(own.place).of(key).get()).toEqual({ x: i, y: 1 })
      expect(await job.state(own.odd).of(key).get()).toEqual(ODD)
      expect(await job.state(own.log).of(key).get()).toEqual([i, `text ${i}`, { deep: [i] }])
      expect(await collect(job.state(own.seen).of(key).entries())).toEqual([[-5n, Number.NEGATIVE_INFINITY], [BigInt(i) ** 20n, Number.NaN]])
      expect(await job.state(own.max).of(key, 7n).get()).toBe(i)
    }
    job.timers.onTimer(({ key, time, namespace }) => void fired.push(`${time} ${key.trim()} ${String(namespace)}`))
    await job.advanceWatermark(5_000)
    await job.close()
  }
  expect(keys).toBe(60)
  expect(fired.sort()).toEqual(Array.from({ length: 60 }, (_, i) => `${2_000 + i} schlüssel "${i}" n`).sort())
}

describe('a savepoint', () => {
  test('through a file, line by line, into one database and into others with another total', async () => {
    const store = new MemoryObjectStore()
    await fill(store)
    const file = join(folder, 'savepoint.jsonl')
    await pipeline(Readable.from(exportSavepoint({ store, prefix: 'from' }, { states: [own.place] })), createWriteStream(file))
    const lines = () => createInterface({ input: createReadStream(file) })
    const whole = await importSavepoint(lines(), { store, prefix: 'to' }, { states: [own.place] })
    expect(whole).toMatchObject({ entries: 60 * 11, timers: 120, leftOut: 0 })
    await expectFilled(['to'], store, 128)
    const parts = []
    for (const [i, [first, last]] of ([[0, 9], [10, 29]] as const).entries()) {
      const options = { states: [own.place], keyGroups: { total: 30, first, last } }
      parts.push(await importSavepoint(lines(), { store, prefix: `part-${i}` }, options))
    }
    expect(parts.reduce((sum, { entries }) => sum + entries, 0)).toBe(60 * 11)
    await expectFilled(['part-0', 'part-1'], store, 30)
    // And once more out of what came in.
    const again = await collect(exportSavepoint({ store, prefix: 'to' }, { states: [own.place] }))
    expect(again.toSorted()).toEqual((await readFile(file, 'utf8')).split(/(?<=\n)/).toSorted())
  })

  test('edited by a script', async () => {
    const store = new MemoryObjectStore()
    await fill(store)
    const file = join(folder, 'savepoint.jsonl')
    await pipeline(Readable.from(exportSavepoint({ store, prefix: 'from' }, { checkpoint: 'saved', states: [own.place] })), createWriteStream(file))
    const script = join(folder, 'edit.mjs')
    await writeFile(
      script,
      `import { readFileSync, writeFileSync } from 'node:fs'
       const [, , from, to] = process.argv
       const lines = readFileSync(from, 'utf8').trimEnd().split('\\n').map((line) => JSON.parse(line))
       const edited = lines.filter((line) => line.state !== 'place').map((line) => {
         if (line.savepoint) return { ...line, metadata: { offsets: [0, 0] }, states: line.states.filter(({ name }) => name !== 'place') }
         return line.state === 'count' && line.namespace === undefined ? { ...line, value: String(BigInt(line.value) + 1000n) } : line
       })
       writeFileSync(to, edited.map((line) => JSON.stringify(line)).join('\\n') + '\\n')`,
    )
    const edited = join(folder, 'edited.jsonl')
    await promisify(execFile)(process.execPath, [script, file, edited])
    await importSavepoint(createInterface({ input: createReadStream(edited) }), { store, prefix: 'to' })
    const job = await openKeyedState({ store, prefix: 'to' }, { keyCodec: utf8 })
    expect(job.restored?.metadata).toEqual({ offsets: [0, 0] })
    expect(await job.state(own.count).of('schlüssel "7"\n').get()).toBe(1_007n)
    expect(await collect(job.state(own.place).keys())).toEqual([])
    await job.close()
  })

  test('that is wrong somewhere is INVALID and names the line; one that was cut off leaves nothing', async () => {
    const store = new MemoryObjectStore()
    await fill(store)
    const good = await collect(exportSavepoint({ store, prefix: 'from' }, { states: [own.place] }))
    const header = good[0] as string
    const into = { store, prefix: 'to' }
    const cases: [string[], RegExp][] = [
      [[], /is empty/],
      [['{"hello":1}\n'], /line 1 of the savepoint/],
      [[header, '{"state":\n'], /line 2 of the savepoint: this is no JSON/],
      [[header, '{"state":"nobody","key":"a","value":1}\n'], /line 2 .*no state 'nobody'/],
      [[header, '{"state":"count","key":"a","value":"x"}\n'], /line 2 /],
      [[header, '{"state":"count","key":5,"value":"1"}\n'], /line 2 .*a string wanted/],
      [[header, '{"timer":"event","key":"a","time":1.5}\n'], /line 2 .*whole number/],
      [[header, '{"end":true}\n', '{"end":true}\n'], /line 3 .*behind the end/],
      [good.slice(0, -1), /cut off/],
    ]
    for (const [lines, why] of cases) await expect(importSavepoint(lines, into, { states: [own.place] })).rejects.toThrow(why)
    const empty = await openKeyedState(into, { keyCodec: utf8 })
    expect(empty.restored).toBeUndefined()
    expect(await collect(empty.state(own.count).keys())).toEqual([])
    await empty.close()
    await importSavepoint(good, into, { states: [own.place] })
    await expect(importSavepoint(good, into, { states: [own.place] })).rejects.toThrow(/holds keyed state already/)
    await expect(collect(exportSavepoint({ store, prefix: 'from' }))).rejects.toThrow(/codec 'point'/)
    await expect(collect(exportSavepoint({ store, prefix: 'from' }, { checkpoint: 'none' }))).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('the example in the documentation can be loaded', async () => {
    const page = await readFile(new URL('../../docs/savepoints.md', import.meta.url), 'utf8')
    const lines = /```json\n([^]*?)```/.exec(page)?.[1]?.trim().split('\n') ?? []
    const into = { store: new MemoryObjectStore(), prefix: 'into' }
    await importSavepoint(lines, into)
    const backend = await openKeyedState(into, { keyCodec: utf8 })
    expect(backend.restored?.metadata).toEqual({ offset: 17 })
    expect(await backend.state(valueState('count', { codec: int64 })).of('user-1').get()).toBe(42n)
    await backend.close()
  })
})
