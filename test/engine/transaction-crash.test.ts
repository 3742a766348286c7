// Invariant: after a crash at any moment the database is where some transaction had left it, all those that were acknowledged
// included: none is there by half, and none rests on one that is not there.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore } from '@moraine/testing'
import { type Db, open, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { localLog, SMALL } from './subject.ts'

const ACCOUNTS = 8
const TOTAL = ACCOUNTS * 100

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-transactions-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function balanceOf(value: Promise<Uint8Array | undefined>): Promise<number> {
  return Number(utf8Decode((await value) ?? new Uint8Array()))
}

/** Moves money about until it is told to stop; counts each transfer in a key of its lane, and in what it returns. */
async function transfer(db: Db, lane: number, random: SeededRandom, stopped: () => boolean, acknowledged: number[]): Promise<void> {
  acknowledged[lane] = 0
  while (!stopped()) {
    const [from, to] = [random.below(ACCOUNTS), random.below(ACCOUNTS)]
    const amount = random.below(50)
    await db.transact(
      async (tx) => {
        const balance = await balanceOf(tx.get(`account-${from}`))
        if (from !== to && balance >= amount) {
          await tx.put(`account-${from}`, String(balance - amount).padEnd(400))
          await tx.put(`account-${to}`, String((await balanceOf(tx.get(`account-${to}`))) + amount).padEnd(400))
        }
        await tx.put(`lane-${lane}`, String((acknowledged[lane] as number) + 1))
      },
      { attempts: 1000 },
    )
    acknowledged[lane]++
  }
}

const LOGS: Record<string, (folder: string) => OpenOptions> = {
  'a local log': (path) => localLog(join(path, 'wal')),
  'a log in the store': () => ({ wal: 'object-store' }),
  'no log': () => ({ wal: 'none' }),
}

describe.each(Object.keys(LOGS))('with %s', (log) => {
  test('money is neither made nor lost, and no acknowledged transfer is undone', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = new SeededRandom(seed)
      const store = new MemoryObjectStore()
      const path = join(folder, String(seed))
      const options: OpenOptions = { ...SMALL, ...(LOGS[log] as (typeof LOGS)[string])(path) }
      const mortal = new MortalObjectStore(store)
      const db = await open({ store: mortal }, options)
      for (let i = 0; i < ACCOUNTS; i++) await db.put(`account-${i}`, '100')
      await db.flush()
      let stopped = false
      const acknowledged: number[] = []
      const lanes = [0, 1, 2, 3].map((lane) => transfer(db, lane, new SeededRandom(seed * 10 + lane), () => stopped, acknowledged))
      for (const lane of lanes) lane.catch(() => {})
      const wanted = 50 + random.below(300)
      while (acknowledged.reduce((sum, count) => sum + count, 0) < wanted) await new Promise((resolve) => setTimeout(resolve, 1))
      mortal.kill()
      const atKill = [...acknowledged]
      stopped = true

      const again = await open({ store }, options)
      let sum = 0
      for (let i = 0; i < ACCOUNTS; i++) sum += await balanceOf(again.get(`account-${i}`))
      expect(sum, `seed ${seed}`).toBe(TOTAL)
      if (log !== 'no log') {
        for (const [lane, count] of atKill.entries()) {
          expect(await balanceOf(again.get(`lane-${lane}`)), `seed ${seed}, lane ${lane}`).toBeGreaterThanOrEqual(count)
        }
      }
      await again.close()
    }
  })
})
