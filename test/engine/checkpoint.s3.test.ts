// Invariant: on a real S3 server, with its own clock, listings and pages, checkpoints, restores and readers do what they do
// in memory, for the same number of requests.
import { randomHex, systemRandom } from '@moraine/base'
import { S3ObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import { collectGarbage, open, openReader } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, numbered, putAll } from './subject.ts'

const server = s3TestServer()

describe.skipIf(server === undefined)('checkpoints and readers on S3', () => {
  let url: string
  const { endpoint = '', bucket = '' } = server ?? {}

  beforeEach(() => {
    url = `s3://${bucket}/checkpoints/${randomHex(systemRandom, 8)}?endpoint=${endpoint}`
  })
  afterEach(async () => {
    const store = new S3ObjectStore({ bucket, endpoint })
    const prefix = new URL(url).pathname.slice(1)
    for (;;) {
      const page = await store.list(prefix)
      if (page.objects.length === 0) break
      await store.deleteMany(page.objects.map((object) => object.key))
    }
    await store.close()
  })

  test('taken, read frozen, followed, restored, collected', async () => {
    const db = await open(url, { wal: 'none' })
    await putAll(db, numbered(0, 500))
    const before = db.stats().store.requests
    const taken = await db.checkpoint({ name: 'x', metadata: { offset: 7 } })
    expect(db.stats().store.requests - before).toBe(3)
    const frozen = await openReader(url, { checkpoint: 'x' })
    expect(frozen.checkpoint).toEqual(taken)
    // The checkpoint's manifest is still the newest, which was read already.
    expect(frozen.stats().store.requests).toBe(4)
    const following = await openReader(url, { refreshIntervalMs: 0, lease: 60_000 })
    expect(following.stats().store.requests).toBe(4)
    await putAll(db, numbered(0, 500).map(([key]) => [key, 'new']))
    await db.compact()
    await db.deleteCheckpoint(taken.id)
    await collectGarbage(url, { graceMs: 0, force: true })
    expect(await contents(frozen as never)).toEqual(Object.fromEntries(numbered(0, 500)))
    await following.refresh()
    expect(new Set(Object.values(await contents(following as never)))).toEqual(new Set(['new']))
    const second = await db.checkpoint()
    await putAll(db, numbered(500, 600))
    await db.flush()
    await db.restore(second.id)
    expect(Object.keys(await contents(db))).toHaveLength(500)
    await following.refresh()
    expect(following.stats().lastSequence).toBe(db.stats().lastSequence)
    for (const reader of [frozen, following]) await reader.close()
    await db.close()
  })
})
