// Invariant: a process that is gone after any one of its writes to the store, before it took effect or after, leaves a job that goes on
// to the same result, with one instance and with several.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { float64, utf8, valueState } from '@moraine/keyed-state'
import { type Cut, CutObjectStore } from '@moraine/testing'
import { MemoryObjectStore, type ObjectStore, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileSink, readRows } from './file-sink.ts'
import { GeneratedSource } from './generated-source.ts'
import type { Job } from './job.ts'
import { runJob } from './run-job.ts'

const ENGINE: OpenOptions = { workerThreads: 0, fenceCheckIntervalMs: 0, gcIntervalMs: 0 }
const RECORDS = 30

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-crash-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Emits every record with how often its key has come, and at the end of every ten the count again. */
const job: Job<number, string> = {
  source: new GeneratedSource({ records: RECORDS, partitions: 1, batchRecords: 10, generate: (n) => n }),
  keyCodec: utf8,
  outOfOrdernessMs: 0,
  keyOf: (n) => `k${n % 4}`,
  timeOf: (n) => n,
  open({ state, emit }) {
    const counts = state.state(valueState('count', { codec: float64 }))
    return {
      async process(n) {
        const key = `k${n % 4}`
        emit('rows', [n, (await counts.of(key).update((before = 0) => before + 1)) ?? 0])
        await state.timers.register({ key, time: n - (n % 10) + 5, domain: 'event' })
      },
      async onTimer({ key, time }) {
        emit('rows', [key, time, (await counts.of(key).get()) ?? 0])
      },
    }
  },
}

function run(store: ObjectStore, rows: string, parallelism: number, seed: number): Promise<unknown> {
  const random = new SeededRandom(seed)
  return runJob(job, {
    location: { store, prefix: 'job' },
    parallelism,
    sinks: [new FileSink('rows', rows, random)],
    checkpointEveryRecords: 20,
    state: { engine: ENGINE },
    random,
  })
}

async function rowsIn(rows: string): Promise<string[]> {
  const found: string[] = []
  for await (const row of readRows(rows)) found.push(JSON.stringify(row))
  return found.sort()
}

test.each([1, 2])('with %i instances', async (parallelism) => {
  const whole = new CutObjectStore(new MemoryObjectStore())
  await run(whole, join(folder, 'whole'), parallelism, 1)
  const expected = await rowsIn(join(folder, 'whole'))
  expect(expected.length).toBeGreaterThan(RECORDS)
  let cuts = 0
  let writes = 0
  for (let call = 1; call <= whole.calls.length; call++) {
    // Who is gone at a call that only reads leaves what the write before it has left.
    if (!/^(put|delete)/.test(whole.calls[call - 1] as string)) continue
    writes++
    for (const when of ['before', 'after'] as const) {
      const cut: Cut = { call, when }
      const rows = join(folder, `${call}-${when}`)
      const inner = new MemoryObjectStore()
      const first = new CutObjectStore(inner, cut)
      const dying = run(first, rows, parallelism, call)
      await Promise.race([dying.catch(() => {}), first.reached])
      if (first.wasCut) cuts++
      first.bury()
      await dying.catch(() => {})
      await run(inner, rows, parallelism, 1_000 + call)
      expect(await rowsIn(rows), `${when} call ${call}, ${whole.calls[call - 1]}`).toEqual(expected)
    }
  }
  // Calls that run at the same time may come in another order, and there may be fewer at the end.
  expect(writes).toBeGreaterThan(10)
  expect(cuts).toBeGreaterThan(writes)
})
