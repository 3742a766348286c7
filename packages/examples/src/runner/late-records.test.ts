// Invariant: a record that comes later than the bound allows is told to an output of its own and changes nothing else.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { type JsonValue, MemoryObjectStore } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { attribution } from '../attribution/attribution.ts'
import { cardFraud } from '../card-fraud/card-fraud.ts'
import { payment } from '../card-fraud/payment.ts'
import { byTime, type CardMemory, judge, NOTHING } from '../card-fraud/rules.ts'
import { FileSink, readRows } from '../harness/file-sink.ts'
import type { Job } from '../harness/job.ts'
import { runJob } from '../harness/run-job.ts'
import type { Click } from '../sessions/click.ts'
import { sessions } from '../sessions/sessions.ts'
import type { AnyExample } from './example.ts'
import { outputFolder } from './live.ts'

const SIZE = { records: 6_000, seed: 1 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-late-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The rows of an example whose job trusts its stream to be in order, as it is not. */
async function impatient(example: AnyExample): Promise<{ late: JsonValue[]; rows: JsonValue[] }> {
  const random = new SeededRandom(1)
  const [output, lateOutput] = example.outputs as [string, string]
  await runJob(
    { ...example.job(SIZE), outOfOrdernessMs: 0 },
    {
      location: { store: new MemoryObjectStore(), prefix: 'job' },
      sinks: example.outputs.map((name) => new FileSink(name, outputFolder(folder, name), random)),
      state: { engine: { workerThreads: 0 } },
    },
  )
  const read = async (name: string): Promise<JsonValue[]> => {
    const rows: JsonValue[] = []
    for await (const row of readRows(outputFolder(folder, name))) rows.push(row)
    return rows
  }
  const late = await read(lateOutput)
  expect(late.length).toBeGreaterThan(10)
  expect(late.length).toBeLessThan(SIZE.records)
  return { late, rows: await read(output) }
}

const sorted = (rows: readonly JsonValue[]): string[] => rows.map((row) => JSON.stringify(row)).sort()

test('sessions hold the clicks that were not late', async () => {
  const example = { ...sessions, job: (size: typeof SIZE) => earlier(sessions.job(size)) }
  const { late, rows } = await impatient(example)
  const clicks = (rows as [string, number, number, number, number][]).reduce((sum, row) => sum + row[3], 0)
  expect(clicks + late.length).toBe(SIZE.records)
})

/** Every tenth click is an hour older than it was: later than any session waits. */
function earlier(job: Job<Click, string>): Job<Click, string> {
  const { source } = job
  return {
    ...job,
    source: {
      partitions: source.partitions,
      *read(partition, offset) {
        let number = offset
        for (const batch of source.read(partition, offset) as Iterable<readonly Click[]>) {
          yield batch.map((click) => (number++ % 10 === 9 ? { ...click, time: click.time - 3_600_000 } : click))
        }
      },
    },
  }
}

test('the join is of the rows that were not late', async () => {
  const { late, rows } = await impatient(attribution)
  const dropped = new Set(late.map((row) => JSON.stringify(row)))
  const { pairs = [] } = await attribution.answer(SIZE)
  const expected = (pairs as [number, number, string, number][]).filter(
    ([impression, purchase]) => !dropped.has(JSON.stringify(['impression', impression])) && !dropped.has(JSON.stringify(['purchase', purchase])),
  )
  expect(expected.length).toBeLessThan(pairs.length)
  expect(sorted(rows)).toEqual(sorted(expected))
})

test('the rules see the payments that were not late, in the order of time', async () => {
  const { late, rows } = await impatient(cardFraud)
  const dropped = new Set(late)
  const memories = new Map<string, CardMemory>()
  const expected: JsonValue[] = []
  const payments = Array.from({ length: SIZE.records }, (_, id) => payment(SIZE.seed, id)).filter(({ id }) => !dropped.has(id))
  for (const one of payments.sort(byTime)) {
    const judged = judge(memories.get(one.card) ?? NOTHING, one)
    memories.set(one.card, judged.memory)
    expected.push(...judged.alerts)
  }
  expect(sorted(rows)).toEqual(sorted(expected))
})
