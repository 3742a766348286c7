// Invariant: whatever is called in whatever order, and wherever processes die, jobs restart or are rescaled, the state is what
// plain maps in memory would be that went back to their last checkpoint at the same moments.
import { type MoraineError, SeededRandom, sleep, systemClock } from '@moraine/base'
import { rescaleKeyedState, type Sink } from '@moraine/keyed-state'
import { MemoryObjectStore } from 'moraine'
import { expect, test } from 'vitest'
import { collect, groupOf, type Job, openJob, states, type States, type Sums, TOTAL, TTL_MS } from './keyed-job.ts'

const KEYS = Array.from({ length: 14 }, (_, i) => `key-${i}`)
const FIELDS = ['a', 'b', 'c', 'd', 'e']

interface Timed<T> {
  value: T
  /** Infinity: never; NaN: from the first watermark on. */
  expiresAt: number
}

/** What one key holds. Plain data, so that a checkpoint is a deep copy. */
interface KeyModel {
  count?: bigint
  recent?: Timed<string>
  touched?: Timed<string>
  log: number[]
  shortLog: Timed<number>[]
  seen: Record<string, number>
  brief: Record<string, Timed<number>>
  max?: number
  average: Record<string, Sums>
}

interface ModelState {
  keys: Record<string, KeyModel>
  /** `time key namespace` of event timers. */
  timers: Set<string>
  watermark: number
  offset: number
}

class ModelJob {
  readonly random: SeededRandom
  readonly store = new MemoryObjectStore()
  readonly trace: string[] = []
  now = 1_000
  generation = 0
  backends: { job: Job; states: States }[] = []
  state: ModelState = { keys: {}, timers: new Set(), watermark: -1, offset: 0 }
  saved: ModelState | undefined
  fired: string[] = []
  #pending: Promise<unknown>[] = []
  #text = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  location(i: number): { store: MemoryObjectStore; prefix: string } {
    return { store: this.store, prefix: `g${this.generation}/${i}` }
  }

  async open(count: number): Promise<void> {
    this.backends = []
    for (let i = 0; i < count; i++) {
      const groups = this.generation === 0 ? { keyGroups: { total: TOTAL, first: 0, last: TOTAL - 1 } } : {}
      const job = await openJob(this.store, `g${this.generation}/${i}`, { ...groups, ttlClock: () => this.now, cacheEntries: 6, retainCheckpoints: 2, sinks: [this.#slowSink()] })
      const own = states(job)
      job.timers.onTimer(async ({ key, time, namespace }) => {
        this.fired.push(spellTimer(time, key, namespace as string | undefined))
        await own.count.of(key).update((n) => (n ?? 0n) + 100n)
        if (time % 3 === 0) await job.timers.register({ key, time: time + 1, domain: 'event' })
      })
      this.backends.push({ job, states: own })
    }
  }

  /** Keeps the time between freeze and seal long, sometimes. */
  #slowSink(): Sink {
    const prepare = async (): Promise<undefined> => {
      if (this.random.chance(0.5)) await sleep(systemClock, this.random.below(4))
    }
    return { name: 'slow', prepare, commit: () => {} }
  }

  at(key: string): { job: Job; states: States } {
    const group = groupOf(key)
    return this.backends.find(({ job }) => job.keyGroups.first <= group && group <= job.keyGroups.last) as { job: Job; states: States }
  }

  model(key: string): KeyModel {
    return (this.state.keys[key] ??= { log: [], shortLog: [], seen: {}, brief: {}, average: {} })
  }

  /** Issues a call without waiting for it. */
  issue(call: Promise<unknown>): void {
    this.#pending.push(call)
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pending.splice(0))
  }

  nextText(): string {
    return `text-${this.#text++}`
  }

  isExpired(expiresAt: number, time: 'event' | 'processing'): boolean {
    if (expiresAt === Number.POSITIVE_INFINITY) return false
    return time === 'processing' ? this.now >= expiresAt : this.state.watermark >= expiresAt
  }

  eventExpiry(): number {
    return this.state.watermark + TTL_MS
  }
}

function spellTimer(time: number, key: string, namespace: string | undefined): string {
  return `${time} ${key} ${namespace ?? ''}`
}

/** One random call on one key, with its effect on the model. */
function change(job: ModelJob): void {
  const { random } = job
  const key = random.pick(KEYS)
  const { states: own, job: backend } = job.at(key)
  const model = job.model(key)
  const number = random.below(1_000)
  const field = random.pick(FIELDS)
  const namespace = random.pick(['w1', 'w2', 'w3'])
  switch (random.below(23)) {
    case 0:
    case 1:
      model.count = (model.count ?? 0n) + 1n
      return job.issue(own.count.of(key).update((n) => (n ?? 0n) + 1n))
    case 2:
      model.count = (model.count ?? 0n) + 7n
      return job.issue(
        own.count.of(key).update(async (n) => {
          await Promise.resolve()
          return (n ?? 0n) + 7n
        }),
      )
    case 3:
      delete model.count
      return job.issue(own.count.of(key).clear())
    case 4: {
      const text = job.nextText()
      model.recent = { value: text, expiresAt: job.now + TTL_MS }
      return job.issue(own.recent.of(key).set(text))
    }
    case 5: {
      const text = job.nextText()
      model.touched = { value: text, expiresAt: job.eventExpiry() }
      return job.issue(own.touched.of(key).set(text))
    }
    case 6:
      model.log.push(number)
      return job.issue(own.log.of(key).add({ n: number }))
    case 7:
      model.log.push(number, number + 1)
      return job.issue(own.log.of(key).addAll([{ n: number }, { n: number + 1 }]))
    case 8:
      model.log = [number]
      return job.issue(own.log.of(key).set([{ n: number }]))
    case 9:
      model.log = []
      return job.issue(own.log.of(key).clear())
    case 10:
      model.shortLog.push({ value: number, expiresAt: job.now + TTL_MS })
      return job.issue(own.shortLog.of(key).add(number))
    case 11:
    case 12:
      model.seen[field] = number
      return job.issue(own.seen.of(key).set(field, number))
    case 13:
      delete model.seen[field]
      return job.issue(own.seen.of(key).delete(field))
    case 14:
      if (random.chance(0.6)) {
        model.brief[field] = { value: number, expiresAt: job.eventExpiry() }
        return job.issue(own.brief.of(key).set(field, number))
      }
      model.seen = {}
      return job.issue(own.seen.of(key).clear())
    case 15:
      model.max = Math.max(model.max ?? number, number)
      return job.issue(own.max.of(key).add(number))
    case 16: {
      const sums = (model.average[namespace] ??= { n: 0, sum: 0 })
      sums.n++
      sums.sum += number
      return job.issue(own.average.of(key, namespace).add(number))
    }
    case 17: {
      const merged = ['w1', 'w2', 'w3'].flatMap((space) => model.average[space] ?? [])
      model.average = merged.length === 0 ? {} : { w1: { n: merged.reduce((n, s) => n + s.n, 0), sum: merged.reduce((n, s) => n + s.sum, 0) } }
      return job.issue(own.average.mergeNamespaces(key, 'w1', ['w2', 'w3']))
    }
    case 18: {
      // Reads have the same place among the calls as writes.
      const wanted = model.count
      return job.issue(own.count.of(key).get().then((found) => expect(found).toBe(wanted)))
    }
    case 19: {
      const wanted = model.seen[field]
      return job.issue(own.seen.of(key).get(field).then((found) => expect(found).toBe(wanted)))
    }
    case 20: {
      const wanted = [...model.log]
      return job.issue(own.log.of(key).get().then((found) => expect(found.map(({ n }) => n)).toEqual(wanted)))
    }
    default: {
      const time = job.state.watermark + random.below(60) - 5
      const space = random.chance(0.3) ? namespace : undefined
      const timer = { key, time, domain: 'event' as const, ...(space !== undefined && { namespace: space }) }
      if (random.chance(0.8)) {
        if (time <= job.state.watermark) {
          const refused = backend.timers.register(timer).then(() => expect.unreachable(), (error: MoraineError) => expect(error.code).toBe('INVALID'))
          return job.issue(refused)
        }
        job.state.timers.add(spellTimer(time, key, space))
        return job.issue(backend.timers.register(timer))
      }
      job.state.timers.delete(spellTimer(time, key, space))
      return job.issue(backend.timers.delete(timer))
    }
  }
}

/** Compares everything about a key. */
async function check(job: ModelJob, key: string, when: string): Promise<void> {
  const { states: own, job: backend } = job.at(key)
  const model = job.model(key)
  const live = <T>(timed: Timed<T> | undefined, time: 'event' | 'processing'): T | undefined =>
    timed === undefined || job.isExpired(timed.expiresAt, time) ? undefined : timed.value
  const found = {
    count: await own.count.of(key).get(),
    recent: await own.recent.of(key).get(),
    touched: await own.touched.of(key).get(),
    log: (await own.log.of(key).get()).map(({ n }) => n),
    shortLog: await own.shortLog.of(key).get(),
    seen: await collect(own.seen.of(key).entries()),
    brief: await collect(own.brief.of(key).entries()),
    max: await own.max.of(key).get(),
    average: [await own.average.of(key, 'w1').get(), await own.average.of(key, 'w2').get(), await own.average.of(key, 'w3').get()],
  }
  const touched = live(model.touched, 'event')
  const wanted = {
    count: model.count,
    recent: live(model.recent, 'processing'),
    touched,
    log: model.log,
    shortLog: model.shortLog.flatMap((timed) => live(timed, 'processing') ?? []),
    seen: Object.entries(model.seen).sort(),
    brief: Object.entries(model.brief)
      .flatMap(([field, timed]) => (live(timed, 'event') === undefined ? [] : [[field, timed.value]]))
      .sort(),
    max: model.max,
    average: ['w1', 'w2', 'w3'].map((space) => {
      const sums = model.average[space]
      return sums === undefined ? undefined : sums.sum / sums.n
    }),
  }
  expect(found, `${when}, ${key}`).toEqual(wanted)
  // Reading has prolonged this one's life.
  if (touched !== undefined) model.touched = { value: touched, expiresAt: job.eventExpiry() }
  if (job.random.chance(0.1)) {
    const entries = await collect(backend.stateOfKey(key))
    const counts = entries.filter(({ state }) => state === 'count').map(({ value }) => value)
    expect(counts, `${when}, ${key}`).toEqual(model.count === undefined ? [] : [model.count])
  }
}

async function checkAll(job: ModelJob, when: string): Promise<void> {
  await job.settle()
  for (const key of KEYS) await check(job, key, when)
  const withCount = new Set<string>()
  for (const { states: own } of job.backends) for (const { key } of await collect(own.count.keys())) withCount.add(key)
  const wanted = KEYS.filter((key) => job.state.keys[key]?.count !== undefined)
  expect([...withCount].sort(), when).toEqual(wanted.sort())
}

/** Fires in the model what is due, as the handler of the job does. */
function fireModel(job: ModelJob, first: number, last: number): string[] {
  const fired: string[] = []
  for (;;) {
    const due = [...job.state.timers]
      .map((timer) => {
        const [time, key, namespace] = timer.split(' ') as [string, string, string]
        return { timer, time: Number(time), key, namespace }
      })
      .filter(({ time, key }) => time <= job.state.watermark && groupOf(key) >= first && groupOf(key) <= last)
    const next = due.sort((a, b) => a.time - b.time || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.namespace < b.namespace ? -1 : 1))[0]
    if (next === undefined) return fired
    job.state.timers.delete(next.timer)
    fired.push(next.timer)
    const model = job.model(next.key)
    model.count = (model.count ?? 0n) + 100n
    if (next.time % 3 === 0) job.state.timers.add(spellTimer(next.time + 1, next.key, undefined))
  }
}

async function advance(job: ModelJob): Promise<void> {
  await job.settle()
  job.state.watermark += job.random.below(40)
  for (const { job: backend } of job.backends) {
    job.fired = []
    await backend.advanceWatermark(job.state.watermark)
    const { first, last } = backend.keyGroups
    expect(job.fired).toEqual(fireModel(job, first, last))
  }
}

async function checkpoint(job: ModelJob): Promise<void> {
  // Some calls are under way, and some are made while the checkpoint is.
  const offset = ++job.state.offset
  const saved = structuredClone(job.state)
  const taken = job.backends.map(({ job: backend }) => backend.checkpoint({ metadata: { offset } }))
  for (let turn = job.random.below(4); turn > 0; turn--) {
    for (let i = job.random.below(8); i > 0; i--) change(job)
    await sleep(systemClock, 1)
  }
  await Promise.all(taken)
  job.saved = saved
}

/** The processes are gone; new ones begin at the last checkpoint. */
async function restart(job: ModelJob, kind: 'kill' | 'close'): Promise<void> {
  await job.settle()
  const old = job.backends
  if (kind === 'close') await Promise.all(old.map(({ job: backend }) => backend.close()))
  await job.open(old.length)
  if (kind === 'kill') await Promise.all(old.map(({ job: backend }) => backend.close().catch(() => {})))
  goBack(job)
}

function goBack(job: ModelJob): void {
  job.state = structuredClone(job.saved ?? { keys: {}, timers: new Set(), watermark: -1, offset: 0 })
  for (const { job: backend } of job.backends) {
    if (job.saved === undefined) {
      expect(backend.restored).toBeUndefined()
      continue
    }
    const { metadata, sources } = backend.restored ?? { metadata: undefined, sources: [] }
    const offsets = [metadata, ...sources.map((source) => source.metadata)].filter((value) => value !== null)
    for (const value of offsets) expect(value).toEqual({ offset: job.state.offset })
  }
}

async function rescale(job: ModelJob, targets: number): Promise<void> {
  await job.settle()
  await checkpoint(job)
  await job.settle()
  await Promise.all(job.backends.map(({ job: backend }) => backend.close()))
  const sources = job.backends.map((_, i) => job.location(i))
  job.generation++
  await rescaleKeyedState(
    sources,
    Array.from({ length: targets }, (_, i) => job.location(i)),
  )
  await job.open(targets)
  goBack(job)
}

async function run(seed: number, steps: number): Promise<void> {
  const job = new ModelJob(seed)
  const { random } = job
  await job.open(1)
  // Event time begins at once: what happens without any watermark has a test of its own.
  job.state.watermark = 0
  await job.backends[0]?.job.advanceWatermark(0)
  await checkpoint(job)
  const scales = [3, 2, 1]
  for (let step = 0; step < steps; step++) {
    const when = `seed ${seed}, step ${step}`
    const dice = random.below(100)
    if (dice < 70) for (let i = random.below(12); i >= 0; i--) change(job)
    else if (dice < 76) await job.settle().then(() => check(job, random.pick(KEYS), when))
    else if (dice < 84) await advance(job)
    else if (dice < 89) {
      await job.settle()
      job.now += random.below(60)
    } else if (dice < 95) await checkpoint(job)
    else if (dice < 97) await restart(job, 'kill').then(() => checkAll(job, `${when}, killed`))
    else if (dice < 99) await restart(job, 'close').then(() => checkAll(job, `${when}, closed`))
    else {
      const targets = scales.shift() ?? 1
      scales.push(targets)
      await rescale(job, targets).then(() => checkAll(job, `${when}, rescaled to ${targets}`))
    }
  }
  await rescale(job, 3)
  await checkAll(job, `seed ${seed}, three`)
  await rescale(job, 2)
  await checkAll(job, `seed ${seed}, two`)
  await Promise.all(job.backends.map(({ job: backend }) => backend.close()))
}

const SEEDS = Number(process.env['MORAINE_MODEL_SEEDS'] ?? 4)

test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('against plain maps, seed %d', async (seed) => {
  await run(seed, 250)
}, 120_000)
