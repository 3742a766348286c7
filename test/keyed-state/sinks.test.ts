// Invariant: what a sink prepared for a completed checkpoint is committed at least once and known by its transaction, what was
// prepared for any other is never committed: with an idempotent commit, every record is out exactly once.
import { type Sink } from '@moraine/keyed-state'
import { CutObjectStore } from '@moraine/testing'
import { MemoryObjectStore } from 'moraine'
import { expect, test } from 'vitest'
import { type Job, openJob, states } from './keyed-job.ts'

/** An outside system with transactions: it outlives the processes that write to it. */
class Warehouse {
  readonly open = new Map<string, string[]>()
  readonly committed = new Map<string, string[]>()
  #next = 0
  failCommits = 0
  failPrepares = 0

  /** A sink as one process has it. */
  sink(): Sink<{ id: string }> & { write(record: string): void } {
    let buffer: string[] = []
    return {
      name: 'warehouse',
      write: (record) => void buffer.push(record),
      prepare: async () => {
        const records = buffer
        if (this.failPrepares > 0) {
          this.failPrepares--
          throw new Error('the warehouse is away')
        }
        buffer = []
        if (records.length === 0) return undefined
        await Promise.resolve()
        const id = `tx-${this.#next++}`
        this.open.set(id, records)
        return { id }
      },
      commit: ({ id }) => {
        if (this.failCommits > 0) {
          this.failCommits--
          throw new Error('the commit did not come through')
        }
        const records = this.open.get(id)
        if (records === undefined && !this.committed.has(id)) throw new Error(`${id} is unknown`)
        if (records !== undefined) this.committed.set(id, records)
        this.open.delete(id)
      },
      abortUnknown: (known) => {
        for (const id of this.open.keys()) if (!known.some((transaction) => transaction.id === id)) this.open.delete(id)
      },
    }
  }

  get records(): string[] {
    return [...this.committed.values()].flat()
  }
}

test('transactions are committed when their checkpoint is complete, and not before', async () => {
  const warehouse = new Warehouse()
  const sink = warehouse.sink()
  const job = await openJob(new MemoryObjectStore(), 'job', { sinks: [sink] })
  sink.write('one')
  const taken = job.checkpoint()
  sink.write('two')
  await Promise.resolve()
  expect(warehouse.records).toEqual([])
  await taken
  expect(warehouse.records).toEqual(['one'])
  await job.checkpoint()
  expect(warehouse.records).toEqual(['one', 'two'])
  await job.checkpoint()
  expect(warehouse.committed.size).toBe(2)
  await job.close()
})

test('a commit that fails is reported, and tried again with the next checkpoint and after a restore', async () => {
  const warehouse = new Warehouse()
  const store = new MemoryObjectStore()
  const errors: unknown[] = []
  let sink = warehouse.sink()
  let job = await openJob(store, 'job', { sinks: [sink], onError: (error) => errors.push(error) })
  warehouse.failCommits = 1
  sink.write('one')
  await job.checkpoint()
  expect(errors).toHaveLength(1)
  expect(warehouse.records).toEqual([])
  sink.write('two')
  await job.checkpoint()
  expect(warehouse.records).toEqual(['one', 'two'])
  warehouse.failCommits = 1
  sink.write('three')
  await job.checkpoint({ metadata: 3 })
  sink.write('never')
  await job.close()
  sink = warehouse.sink()
  job = await openJob(store, 'job', { sinks: [sink] })
  expect(warehouse.records).toEqual(['one', 'two', 'three'])
  await job.checkpoint()
  await job.close()
  expect(warehouse.records).toEqual(['one', 'two', 'three'])
})

test('a prepare that fails fails the checkpoint, and the records go with the next one', async () => {
  const warehouse = new Warehouse()
  const store = new MemoryObjectStore()
  const sink = warehouse.sink()
  const other: Sink = { name: 'other', prepare: (n) => `other-${n}`, commit: (transaction) => void commits.push(transaction as string) }
  const commits: string[] = []
  const job = await openJob(store, 'job', { sinks: [other, sink] })
  warehouse.failPrepares = 1
  sink.write('one')
  await states(job).count.of('a').set(1n)
  await expect(job.checkpoint()).rejects.toThrow(/away/)
  expect(commits).toEqual([])
  await job.checkpoint()
  expect(warehouse.records).toEqual(['one'])
  // What the other sink had prepared for the failed checkpoint is not lost.
  expect(commits).toEqual(['other-1', 'other-2'])
  await job.close()
  const next = await openJob(store, 'job')
  expect(await states(next).count.of('a').get()).toBe(1n)
  await next.close()
})

test('a job that dies anywhere has every record out exactly once', async () => {
  const rounds = 3
  const run = async (job: Job, sink: ReturnType<Warehouse['sink']>): Promise<void> => {
    const { count } = states(job)
    for (let round = Number(job.restored?.metadata ?? 0) + 1; round <= rounds; round++) {
      sink.write(`record-${round}`)
      await count.of('a').update((n) => (n ?? 0n) + 1n)
      await job.checkpoint({ metadata: round })
    }
  }
  for (const when of ['before', 'after'] as const) {
    for (let call = 1; ; call++) {
      const store = new MemoryObjectStore()
      const warehouse = new Warehouse()
      const mortal = new CutObjectStore(store, { call, when })
      let dying: Job | undefined
      const living = (async () => {
        const sink = warehouse.sink()
        dying = await openJob(mortal as unknown as MemoryObjectStore, 'job', { sinks: [sink] })
        await run(dying, sink)
      })()
      living.catch(() => {})
      const ended = await Promise.race([living.then(() => true), mortal.reached.then(() => false)])
      mortal.bury()
      void dying?.close().catch(() => {})
      const sink = warehouse.sink()
      const job = await openJob(store, 'job', { sinks: [sink] })
      await run(job, sink)
      expect(await states(job).count.of('a').get()).toBe(BigInt(rounds))
      await job.close()
      expect(warehouse.records.sort(), `cut ${when} call ${call}`).toEqual(['record-1', 'record-2', 'record-3'])
      expect(warehouse.open.size).toBe(0)
      if (ended) break
    }
  }
}, 60_000)
