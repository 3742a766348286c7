// Invariant: whatever a job is interrupted by, its state, its offsets and its rows are those of one moment, so that the result
// is that of a run without interruption.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { float64, openKeyedState, openKeyedStateReader, utf8, valueState } from '@moraine/keyed-state'
import { isMoraineError, type JsonValue, MemoryObjectStore, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileSink, readRows } from './file-sink.ts'
import { GeneratedSource } from './generated-source.ts'
import { instanceLocation } from './instance-location.ts'
import type { Job } from './job.ts'
import { positionOf } from './position.ts'
import { rescaleJob } from './rescale-job.ts'
import { type Progress, runJob, type RunOptions } from './run-job.ts'
import { END_OF_TIME } from './watermarks.ts'

let folder: string
let store: MemoryObjectStore
let seed: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-job-'))
  store = new MemoryObjectStore()
  seed = 1
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ENGINE: OpenOptions = { workerThreads: 0, fenceCheckIntervalMs: 0, gcIntervalMs: 0 }
const RECORDS = 600
const count = valueState('count', { codec: float64 })

interface Numbered {
  readonly n: number
  readonly key: string
}

interface Hooks {
  onRecord?(n: number): void | Promise<void>
  onTimer?(time: number): void
}

/** Counts records by key; a timer every hundred milliseconds of event time reports the count. */
function countingJob(hooks: Hooks = {}, records = RECORDS): Job<Numbered, string> {
  return {
    source: new GeneratedSource({ records, partitions: 2, batchRecords: 16, generate: (n) => ({ n, key: `k${n % 7}` }) }),
    keyCodec: utf8,
    outOfOrdernessMs: 20,
    keyOf: ({ key }) => key,
    timeOf: ({ n }) => n,
    open({ state, emit }) {
      const counts = state.state(count)
      return {
        async process({ n, key }) {
          await hooks.onRecord?.(n)
          await counts.of(key).update((before = 0) => before + 1)
          await state.timers.register({ key, time: n - (n % 100) + 99, domain: 'event' })
        },
        async onTimer({ key, time }) {
          hooks.onTimer?.(time)
          emit('rows', [key, time, (await counts.of(key).get()) ?? -1])
        },
      }
    },
  }
}

function options(more: Partial<RunOptions> = {}): RunOptions {
  const random = new SeededRandom(seed++)
  return {
    location: { store, prefix: 'job' },
    sinks: [new FileSink('rows', join(folder, 'rows'), random)],
    checkpointEveryRecords: 64,
    state: { engine: ENGINE },
    random,
    ...more,
  }
}

async function shown(): Promise<string[]> {
  const rows: string[] = []
  for await (const row of readRows(join(folder, 'rows'))) rows.push(JSON.stringify(row))
  return rows.sort()
}

async function countsIn(parallelism = 1, prefix = 'job'): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (let i = 0; i < parallelism; i++) {
    const reader = await openKeyedStateReader<string>(instanceLocation({ store, prefix }, i))
    for (let k = 0; k < 7; k++) {
      // INVALID for keys of another instance.
      const value = await reader.state(count).of(`k${k}`).get().catch(() => undefined)
      if (value !== undefined) found[`k${k}`] = value
    }
    await reader.close()
  }
  return found
}

/** What every run has to end with. */
const EXPECTED_COUNTS = Object.fromEntries(Array.from({ length: 7 }, (_, k) => [`k${k}`, Math.ceil((RECORDS - k) / 7)]))

async function undisturbed(): Promise<string[]> {
  const other = mkdtempSync(join(tmpdir(), 'moraine-job-'))
  const random = new SeededRandom(99)
  await runJob(countingJob(), options({ location: { store: new MemoryObjectStore(), prefix: 'p' }, sinks: [new FileSink('rows', other, random)] }))
  const rows: string[] = []
  for await (const row of readRows(other)) rows.push(JSON.stringify(row))
  rmSync(other, { recursive: true })
  return rows.sort()
}

test('counts every record, fires every timer in the order of time, and says where it is', async () => {
  const progress: Progress[] = []
  const times: number[] = []
  const result = await runJob(countingJob({ onTimer: (time) => times.push(time) }), options({ onProgress: (now) => progress.push(now) }))
  expect(result).toMatchObject({ finished: true, records: RECORDS, processed: RECORDS, restarts: 0 })
  expect(await countsIn()).toEqual(EXPECTED_COUNTS)
  expect(times).toEqual([...times].sort((a, b) => a - b))
  expect(new Set(await shown()).size).toBe(7 * 6)
  // Partition 1 has seen 1 + 2 * 15 after the first round, partition 0 one less; the bound and one more are taken off.
  expect(progress[0]).toMatchObject({ records: 32, watermark: 30 - 20 - 1 })
  expect(progress.at(-1)).toMatchObject({ records: RECORDS, watermark: 598 - 20 - 1 })
})

test('one key in its order, many keys at a time', async () => {
  const running = new Set<string>()
  let most = 0
  const seen = new Map<string, number>()
  await runJob(
    countingJob({
      async onRecord(n) {
        const key = `k${n % 7}`
        expect(running.has(key)).toBe(false)
        // Within a partition; the two partitions' numbers alternate.
        const lane = `${key}/${n % 2}`
        expect(seen.get(lane) ?? -1).toBeLessThan(n)
        seen.set(lane, n)
        running.add(key)
        most = Math.max(most, running.size)
        await new Promise((resolve) => setImmediate(resolve))
        running.delete(key)
      },
    }),
    options(),
  )
  expect(most).toBe(7)
})

test('pitfall 34: after a failure every record counts once, in state, timers and rows', async () => {
  const expected = await undisturbed()
  const failAt = [100, 101, 333, 599]
  const errors: string[] = []
  const job = countingJob({
    onRecord(n) {
      if (n !== failAt[0]) return
      failAt.shift()
      throw new Error(`record ${n}`)
    },
  })
  const result = await runJob(job, options({ maxRestarts: 4, onError: (error) => errors.push((error as Error).message) }))
  expect(errors).toEqual(['record 100', 'record 101', 'record 333', 'record 599'])
  expect(result).toMatchObject({ finished: true, records: RECORDS, restarts: 4 })
  expect(result.processed).toBeGreaterThan(RECORDS)
  expect(await countsIn()).toEqual(EXPECTED_COUNTS)
  expect(await shown()).toEqual(expected)
})

test('a job that fails too often ends with the failure, and the next run goes on where its checkpoint is', async () => {
  const failing = countingJob({
    onRecord(n) {
      if (n === 300) throw new Error('always')
    },
  })
  await expect(runJob(failing, options({ maxRestarts: 2 }))).rejects.toThrow('always')
  const seen: number[] = []
  const result = await runJob(countingJob({ onRecord: (n) => void seen.push(n) }), options())
  expect(Math.min(...seen)).toBeGreaterThan(0)
  expect(result).toMatchObject({ finished: true, records: RECORDS })
  expect(await shown()).toEqual(await undisturbed())
})

test('stopped by its signal, it goes on later', async () => {
  const controller = new AbortController()
  const first = await runJob(
    countingJob(),
    options({
      signal: controller.signal,
      onProgress: ({ records }) => {
        if (records >= 200) controller.abort()
      },
    }),
  )
  expect(first).toMatchObject({ finished: false, records: 224, processed: 224 })
  const second = await runJob(countingJob(), options())
  expect(second).toMatchObject({ finished: true, records: RECORDS, processed: RECORDS - 224 })
  expect(await shown()).toEqual(await undisturbed())
})

test('the watermark goes on from what was seen before the restart', async () => {
  const times = [
    [[1_000], [200]],
    [[100], [900]],
  ]
  const job: Job<number, string> = {
    source: { partitions: 2, read: (partition, offset) => (times[partition] as number[][]).slice(offset) },
    keyCodec: utf8,
    outOfOrdernessMs: 0,
    keyOf: String,
    timeOf: (time) => time,
    open: () => ({ process: () => {} }),
  }
  const watermarks: (number | undefined)[] = []
  for (let run = 0; run < 2; run++) {
    const controller = new AbortController()
    const onProgress = ({ watermark }: Progress): void => {
      watermarks.push(watermark)
      controller.abort()
    }
    await runJob(job, options({ signal: controller.signal, onProgress }))
  }
  expect(watermarks).toEqual([99, 899])
})

test('a finished job has nothing left to do', async () => {
  await runJob(countingJob(), options())
  const rows = await shown()
  expect(await runJob(countingJob(), options())).toEqual({ finished: true, records: RECORDS, processed: 0, checkpoints: 0, restarts: 0 })
  expect(await shown()).toEqual(rows)
})

test('a second process fences the first one off, which does not start again', async () => {
  let second: Promise<unknown> | undefined
  const first = runJob(
    countingJob({
      async onRecord(n) {
        if (n === 320) await (second ??= runJob(countingJob(), options()))
      },
    }),
    options({ maxRestarts: 100 }),
  )
  await expect(first).rejects.toSatisfy((error) => isMoraineError(error, 'FENCED'))
  await second
  expect(await countsIn()).toEqual(EXPECTED_COUNTS)
  expect(await shown()).toEqual(await undisturbed())
})

test('several instances give what one gives', async () => {
  await runJob(countingJob(), options({ parallelism: 3 }))
  expect(await countsIn(3)).toEqual(EXPECTED_COUNTS)
  expect(await shown()).toEqual(await undisturbed())
})

test('an instance that is a checkpoint ahead of the leader goes back to the one they have in common, however often', async () => {
  const newest = async (instance: number): Promise<string | undefined> => {
    const reader = await openKeyedStateReader(instanceLocation({ store, prefix: 'job' }, instance))
    const position = positionOf(reader.checkpoint.metadata)
    await reader.close()
    return position?.id
  }
  let attempts = 0
  let ahead = 0
  /** Fails eight times in a row, when the leader waits for nothing else any more. */
  class Unlucky extends FileSink {
    override async prepare(): Promise<{ part: string } | undefined> {
      const prepared = await super.prepare()
      attempts++
      if (attempts <= 4 || attempts > 12) return prepared
      const leaders = await newest(0)
      for (let i = 0; i < 200 && (await newest(1)) === leaders; i++) await new Promise((resolve) => setTimeout(resolve, 5))
      if ((await newest(1)) !== leaders) ahead++
      throw new Error('the disk is full')
    }
  }
  const random = new SeededRandom(5)
  const sinks = [new Unlucky('rows', join(folder, 'rows'), random)]
  const result = await runJob(countingJob(), options({ parallelism: 2, maxRestarts: 20, sinks }))
  expect(result.restarts).toBe(8)
  expect(ahead).toBe(8)
  expect(await countsIn(2)).toEqual(EXPECTED_COUNTS)
  expect(await shown()).toEqual(await undisturbed())
})

test('processing timers, which fire when they like, and so may while others stand still already, emit their rows once', async () => {
  // In the state, too, is how often each key was reported: rows and state must agree wherever the job is cut off.
  const reports = valueState('reports', { codec: float64 })
  let failures = 0
  const job: Job<Numbered, string> = {
    ...countingJob(),
    open({ state, emit }) {
      const reported = state.state(reports)
      const report = async (key: string): Promise<void> => {
        const before = (await reported.of(key).get()) ?? 0
        await new Promise((resolve) => setTimeout(resolve, 2))
        await reported.of(key).set(before + 1)
        emit('rows', [key, before + 1])
        await state.timers.register({ key, time: Date.now() + 15, domain: 'processing' })
      }
      return {
        async process({ n, key }) {
          if (n < 14) await report(key)
          if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 3))
          if (n % 200 === 150 && failures < 3 * Math.ceil(n / 200)) {
            failures++
            throw new Error('again')
          }
        },
        onTimer: ({ key, domain }) => (domain === 'processing' ? report(key) : undefined),
      }
    },
  }
  await runJob(job, options({ parallelism: 3, maxRestarts: 9, checkpointEveryRecords: 32 }))
  expect(failures).toBeGreaterThanOrEqual(6)
  const rows = await shown()
  expect(new Set(rows).size).toBe(rows.length)
  for (let i = 0; i < 3; i++) {
    const reader = await openKeyedStateReader<string>(instanceLocation({ store, prefix: 'job' }, i))
    for (let k = 0; k < 7; k++) {
      const total = await reader.state(reports).of(`k${k}`).get().catch(() => undefined)
      if (total === undefined) continue
      const own = rows.filter((row) => row.startsWith(`["k${k}"`))
      expect(own.sort()).toEqual(Array.from({ length: total }, (_, n) => `["k${k}",${n + 1}]`).sort())
    }
    await reader.close()
  }
})

test('rescaled from 1 to 3 to 2 instances on the way', async () => {
  const places = [
    { location: { store, prefix: 'job' }, parallelism: 1 },
    { location: { store, prefix: 'job-3' }, parallelism: 3 },
    { location: { store, prefix: 'job-2' }, parallelism: 2 },
  ]
  for (const [i, place] of places.entries()) {
    const before = places[i - 1]
    if (before !== undefined) await rescaleJob(before, place)
    const controller = new AbortController()
    const stopAt = i < 2 ? 200 * (i + 1) : Number.POSITIVE_INFINITY
    const result = await runJob(
      countingJob(),
      options({
        ...place,
        signal: controller.signal,
        onProgress: ({ records }) => {
          if (records >= stopAt) controller.abort()
        },
      }),
    )
    expect(result.finished).toBe(i === 2)
  }
  expect(await countsIn(2, 'job-2')).toEqual(EXPECTED_COUNTS)
  expect(await shown()).toEqual(await undisturbed())
})

test('a partition that has fallen idle does not hold back the watermark', async () => {
  const job = countingJob()
  const waits: Job<Numbered, string> = {
    ...job,
    source: {
      partitions: 2,
      async *read(partition, offset) {
        if (partition === 1) await new Promise(() => {})
        yield* job.source.read(partition, offset)
        await new Promise(() => {})
      },
    },
  }
  const controller = new AbortController()
  let last: Progress | undefined
  await runJob(
    waits,
    options({
      idleAfterMs: 30,
      signal: controller.signal,
      onProgress: (progress) => {
        last = progress
        if (progress.records === RECORDS / 2) controller.abort()
      },
    }),
  )
  expect(last).toMatchObject({ records: RECORDS / 2, watermark: 598 - 20 - 1 })
})

test('at the end all timers have fired and the watermark is at the end of time', async () => {
  await runJob(countingJob({}, 5), options())
  expect(await shown()).toHaveLength(5)
  const backend = await openKeyedState(instanceLocation({ store, prefix: 'job' }, 0), { keyCodec: utf8, engine: ENGINE })
  expect(backend.watermark).toBe(END_OF_TIME)
  await backend.close()
})

test('keyed state of somebody else is refused', async () => {
  const backend = await openKeyedState(instanceLocation({ store, prefix: 'job' }, 0), { keyCodec: utf8, engine: ENGINE })
  await backend.checkpoint({ metadata: { offsets: [1] } as JsonValue })
  await backend.close()
  await expect(runJob(countingJob(), options())).rejects.toThrow(/was not made by this harness/)
})

test('another number of instances than before is refused', async () => {
  await runJob(countingJob(), options({ parallelism: 2 }))
  await expect(runJob(countingJob(), options({ parallelism: 1 }))).rejects.toSatisfy((error) => isMoraineError(error, 'INVALID'))
  await expect(runJob(countingJob(), options({ parallelism: 3 }))).rejects.toSatisfy((error) => isMoraineError(error, 'INVALID'))
})

test('rows for a sink that is not there fail the job', async () => {
  await expect(runJob(countingJob(), options({ sinks: [] }))).rejects.toThrow(/no sink 'rows'/)
})

test.each([{ parallelism: 0 }, { parallelism: 129 }, { checkpointEveryRecords: 0 }, { checkpointEveryMs: 0.5 }, { idleAfterMs: 0 }, { maxRestarts: -1 }])(
  'refuses %j before anything is written',
  async (wrong) => {
    await expect(runJob(countingJob(), options(wrong))).rejects.toSatisfy((error) => isMoraineError(error, 'INVALID'))
    expect((await store.list('')).objects).toEqual([])
  },
)
