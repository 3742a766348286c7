// Invariant: moraine compactor does the compactions that an owner in another process offers; one that is killed with
// SIGKILL in the middle of a job does no harm, and the next one takes its job over.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Db, open, verify } from 'moraine'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { contents, numbered, putAll } from '../engine/subject.ts'
import { buildCli, runScript } from './run-script.ts'

let folder: string
let database: string
beforeAll(buildCli, 120_000)
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-compactor-'))
  database = join(folder, 'db')
  mkdirSync(database)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ROUNDS = 4

async function offering(leaseMs: number): Promise<Db> {
  const remoteCompaction = { leaseMs, takeBackAfterMs: 60_000, minSizeBytes: 0 }
  const db = await open(pathToFileURL(database).href, {
    wal: 'none',
    level0CompactionTrigger: ROUNDS,
    targetFileSizeBytes: 64 * 1024,
    remoteCompaction,
  })
  for (let round = 0; round < ROUNDS; round++) {
    await putAll(db, numbered(round * 100, 6_000 + round * 100, 1_000 + round))
    await db.flush()
  }
  return db
}

const closed = async (db: Db): Promise<void> => {
  while (db.stats().compaction.remote.openJob !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
}

test('one compactor is killed in the middle of a job, the next one finishes it', async () => {
  const db = await offering(2_000)
  const wanted = await contents(db)
  const script = fileURLToPath(new URL('../../scripts/moraine', import.meta.url))
  const victim = spawn(script, ['compactor', database, '--poll-ms=20', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(victim.stdout, 'data')) as [Buffer]
  expect(JSON.parse(line.toString())).toMatchObject({ what: 'claimed', attempt: 1 })
  victim.kill('SIGKILL')
  await once(victim, 'close')
  const next = spawn(script, ['compactor', database, '--poll-ms=20'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  next.stdout.on('data', (part: Buffer) => (printed += part.toString()))
  await closed(db)
  next.kill('SIGTERM')
  expect(await once(next, 'close')).toEqual([0, null])
  expect(db.stats().compaction.remote).toMatchObject({ offered: 1, committed: 1, takenBack: 0 })
  expect(printed).toMatch(/^Job \S+, attempt 2: 4 tables, .*\nJob \S+, attempt 2: finished, /)
  expect(await contents(db)).toEqual(wanted)
  await db.close()
  expect((await verify(pathToFileURL(database).href, { deep: true })).problems).toEqual([])
}, 60_000)

test('--once does what is offered and ends, also when there is nothing; a wrong command line is one', async () => {
  const db = await offering(30_000)
  const did = await runScript('moraine', 'compactor', database, '--once', '--json')
  expect([did.code, did.stderr]).toEqual([0, ''])
  expect(did.stdout.trim().split('\n').map((line) => (JSON.parse(line) as { what: string }).what)).toEqual(['claimed', 'finished'])
  await closed(db)
  expect(db.stats().compaction.remote.committed).toBe(1)
  await db.close()
  expect(await runScript('moraine', 'compactor', database, '--once')).toEqual({ code: 0, stdout: '', stderr: '' })
  expect((await runScript('moraine', 'compactor', database, '--poll-ms=soon')).code).toBe(2)
}, 60_000)
