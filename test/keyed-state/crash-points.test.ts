// Invariant: a process may die before or after any of its store calls, while it opens, runs, takes a checkpoint, closes or
// rescales: what is opened next is exactly a completed checkpoint, at least the last one that was acknowledged.
import { isMoraineError } from '@moraine/base'
import { rescaleKeyedState } from '@moraine/keyed-state'
import { MemoryObjectStore, type ObjectStore } from 'moraine'
import { type Cut, CutObjectStore } from '@moraine/testing'
import { describe, expect, test } from 'vitest'
import { collect, type Job, openJob as openAny, SMALL_ENGINE, states } from './keyed-job.ts'

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const CHECKPOINTS = 2
/** Without background compaction: the store calls of a test are the ones it names. */
const QUIET = { engine: { ...SMALL_ENGINE, level0CompactionTrigger: 1_000, level0StopTrigger: 1_001, levelBaseSizeBytes: 2 ** 30 } }

function openJob(store: ObjectStore, prefix: string): Promise<Job> {
  return openAny(store as MemoryObjectStore, prefix, QUIET)
}

/** Goes on from where the job was restored, with one checkpoint a round; every key has the round's number everywhere. */
async function live(job: Job, onCompleted: (round: number) => void): Promise<void> {
  const own = states(job)
  for (let round = restoredRound(job) + 1; round <= CHECKPOINTS; round++) {
    for (const key of KEYS) {
      await own.count.of(key).update(() => BigInt(round))
      await own.log.of(key).add({ n: round })
      await own.seen.of(key).set(`round-${round}`, round)
      await job.timers.register({ key, time: 1_000 + round, domain: 'event' })
    }
    await own.log.of('junk').clear()
    await job.advanceWatermark(round)
    await job.checkpoint({ metadata: { round } })
    onCompleted(round)
    // What no checkpoint has: it reaches the store all the same, because it is larger than a memtable.
    for (const key of KEYS) await own.count.of(key).set(-1n)
    for (let i = 0; i < 28; i++) await own.log.of('junk').add({ n: i, text: 'x'.repeat(10_000) } as { n: number })
  }
  await job.close()
}

function restoredRound(job: Job): number {
  return (job.restored?.metadata as { round: number } | null | undefined)?.round ?? 0
}

/** Every key has everything of the round, and nothing else is there. */
async function expectRound(jobs: readonly Job[], round: number, when: string): Promise<void> {
  const seen: string[] = []
  const fired: string[] = []
  for (const job of jobs) {
    const own = states(job)
    expect(job.watermark, when).toBe(round === 0 ? undefined : round)
    for (const key of KEYS.filter((candidate) => holds(job, candidate))) {
      expect(await own.count.of(key).get(), when).toBe(round === 0 ? undefined : BigInt(round))
      const rounds = Array.from({ length: round }, (_, i) => i + 1)
      expect((await own.log.of(key).get()).map(({ n }) => n), when).toEqual(rounds)
      expect((await collect(own.seen.of(key).entries())).map(([, n]) => n), when).toEqual(rounds)
      seen.push(key)
    }
    if (holds(job, 'junk')) expect(await own.log.of('junk').get(), when).toEqual([])
    job.timers.onTimer(({ key, time }) => {
      fired.push(`${key} ${time}`)
    })
    await job.advanceWatermark(5_000)
  }
  expect(seen.sort(), when).toEqual(KEYS)
  expect(fired.sort(), when).toEqual(KEYS.flatMap((key) => Array.from({ length: round }, (_, i) => `${key} ${1_001 + i}`)).sort())
}

function holds(job: Job, key: string): boolean {
  const group = job.keyGroupOf(key)
  return group >= job.keyGroups.first && group <= job.keyGroups.last
}

async function copyOf(store: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore()
  for (let token: string | undefined, more = true; more; more = token !== undefined) {
    const page = await store.list('', { token })
    for (const { key } of page.objects) await copy.put(key, (await store.get(key))?.bytes ?? new Uint8Array())
    token = page.nextToken
  }
  return copy
}

async function closeAll(jobs: readonly Job[]): Promise<void> {
  for (const job of jobs) await job.close()
}

/** Runs on a store that dies at `cut`; `ended` when it got to its end, otherwise with what was still open to be closed. */
async function until(store: ObjectStore, cut: Cut, run: (mortal: ObjectStore, opened: (job: Job) => void) => Promise<void>): Promise<boolean> {
  const mortal = new CutObjectStore(store, cut)
  const opened: Job[] = []
  const living = run(mortal, (job) => opened.push(job))
  living.catch(() => {})
  const ended = await Promise.race([living.then(() => true), mortal.reached.then(() => false)])
  mortal.bury()
  for (const job of opened) void job.close().catch(() => {})
  return ended
}

describe('pitfall 34: a process that dies at any of its store calls', () => {
  for (const when of ['before', 'after'] as const) {
    for (const begun of [0, 1]) {
      test(`${begun === 0 ? 'a new job' : 'a job that was restarted'}, ${when} the call`, async () => {
        let cuts = 0
        for (let call = 1; ; call++) {
          const store = new MemoryObjectStore()
          if (begun === 1) {
            const first = await openJob(store, 'job')
            await until(store, { call: 22, when: 'after' }, async (mortal, opened) => {
              const job = await openJob(mortal, 'job')
              opened(job)
              await live(job, () => {})
            })
            await first.close().catch(() => {})
          }
          let acknowledged = 0
          const ended = await until(store, { call, when }, async (mortal, opened) => {
            const job = await openJob(mortal, 'job')
            opened(job)
            await live(job, (round) => {
              acknowledged = round
            })
          })
          const at = `cut ${when} call ${call}`
          const next = await openJob(store, 'job')
          const round = restoredRound(next)
          expect(round, at).toBeGreaterThanOrEqual(acknowledged)
          await expectRound([next], round, at)
          await next.close()
          // And the job can go on from there.
          if (call % 9 === 0) {
            const again = await openJob(store, 'job')
            await live(again, () => {})
            const last = await openJob(store, 'job')
            await expectRound([last], CHECKPOINTS, at)
            await last.close()
          }
          if (ended) break
          cuts++
        }
        expect(cuts).toBeGreaterThan(10)
      }, 120_000)
    }
  }
})

describe('a rescale that is cut off at any of its store calls', () => {
  const scales = [
    { from: 1, to: 3 },
    { from: 3, to: 2 },
    { from: 2, to: 1 },
  ]
  for (const { from, to } of scales) {
    for (const when of ['before', 'after'] as const) {
      test(`${from} to ${to}, ${when} the call: it is refused or whole, and another run finishes it`, async () => {
        const prepared = new MemoryObjectStore()
        await live(await openJob(prepared, 'first'), () => {})
        const place = (store: MemoryObjectStore, name: string, count: number) =>
          Array.from({ length: count }, (_, i) => ({ store, prefix: `${name}/${i}` }))
        if (from > 1) await rescaleKeyedState([{ store: prepared, prefix: 'first' }], place(prepared, 'source', from))
        for (let call = 1; ; call++) {
          const store = await copyOf(prepared)
          const sources = from > 1 ? place(store, 'source', from) : [{ store, prefix: 'first' }]
          const targets = place(store, 'target', to)
          const at = `cut ${when} call ${call}`
          const ended = await until(store, { call, when }, async (mortal) => {
            const inMortal = <T extends { prefix: string }>(locations: readonly T[]) => locations.map(({ prefix }) => ({ store: mortal, prefix }))
            await rescaleKeyedState(inMortal(sources), inMortal(targets))
          })
          for (const { prefix } of targets) {
            const size = (await store.list(`${prefix}/manifest/`)).objects.length
            if (size === 0) continue
            const opened = await openJob(store, prefix).then(
              async (job) => {
                expect(restoredRound({ restored: { metadata: job.restored?.sources[0]?.metadata } } as unknown as Job), at).toBe(CHECKPOINTS)
                await job.close()
              },
              (error: unknown) => error,
            )
            if (opened !== undefined && !isMoraineError(opened, 'INVALID')) throw opened
          }
          await rescaleKeyedState(sources, targets)
          const jobs = await Promise.all(targets.map(({ prefix }) => openJob(store, prefix)))
          await expectRound(jobs, CHECKPOINTS, at)
          await closeAll(jobs)
          if (ended) break
        }
      }, 120_000)
    }
  }
})
