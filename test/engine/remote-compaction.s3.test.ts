// Invariant: on a real S3 server, and in a folder, a compactor in its own connection does what the owner offers.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { randomHex, systemClock, systemRandom } from '@moraine/base'
import { parseLocation, PrefixedObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import { destroy, open } from 'moraine'
import { openRemoteCompactor } from 'moraine/inspect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { namesIn } from './bucket.ts'
import { contents, numbered, putAll, QUIET } from './subject.ts'

const server = s3TestServer()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-remote-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const places: [kind: string, location: () => string][] = [
  ['a folder', () => pathToFileURL(join(folder, randomHex(systemRandom, 4))).href],
  ['S3', () => `s3://${server?.bucket}/remote/${randomHex(systemRandom, 8)}?endpoint=${server?.endpoint}`],
]

describe.skipIf(server === undefined).each(places)('remote compaction in %s', (_kind, location) => {
  test('is done by one, committed by the other', async () => {
    const url = location()
    const remoteCompaction = { leaseMs: 30_000, takeBackAfterMs: 30_000, minSizeBytes: 0 }
    const db = await open(url, { ...QUIET, level0CompactionTrigger: 4, remoteCompaction })
    for (let round = 0; round < 4; round++) {
      await putAll(db, numbered(round * 20, round * 20 + 100, 100))
      await db.flush()
    }
    const expected = await contents(db)
    const { store, prefix } = parseLocation(url)
    const compactor = openRemoteCompactor({ root: store, prefix }, { clock: systemClock, random: systemRandom })
    while (!(await compactor.step(new AbortController().signal))) await systemClock.yieldNow()
    while (db.stats().compaction.remote.openJob !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(db.stats().compaction.remote).toMatchObject({ committed: 1, takenBack: 0 })
    expect(await contents(db)).toEqual(expected)
    await db.close()
    expect(await namesIn(new PrefixedObjectStore(store, prefix), 'compaction/')).toEqual([])
    await store.close()
    await destroy(url)
  })
})
