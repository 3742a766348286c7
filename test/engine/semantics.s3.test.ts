// Invariant: on a real S3 server range deletes, merges, expiry, keyspaces, transactions, conditional writes, large values and
// the disk cache answer as they do in memory: after flush and compaction, at snapshots, in readers, clones and reopenings.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomHex, systemClock, systemRandom } from '@moraine/base'
import { MemoryObjectStore, S3ObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import { append, clone, counter, counterBytes, counterValue, type Db, type DbReader, type Location, open, openReader, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SMALL_SETTINGS } from './small-settings.ts'

const server = s3TestServer()

const SETTINGS: OpenOptions = {
  ...SMALL_SETTINGS,
  wal: 'none',
  mergeOperator: append,
  keyspaces: { counts: { mergeOperator: counter }, sessions: { ttlMs: 60_000 } },
  blobThresholdBytes: 1024,
}

/** Everything that a database shows, by keyspace. */
async function contents(db: Db | DbReader, snapshot?: ReturnType<Db['snapshot']>): Promise<Record<string, [string, string][]>> {
  const found: Record<string, [string, string][]> = {}
  for (const name of ['', 'counts', 'sessions']) {
    const space = name === '' ? db : db.keyspace(name)
    const entries: [string, string][] = []
    for await (const [key, value] of space.scan(snapshot === undefined ? {} : { snapshot })) {
      entries.push([Buffer.from(key).toString(), Buffer.from(value).toString('latin1')])
    }
    found[name] = entries
  }
  return found
}

/** The same history on any store; what the database shows along the way. */
async function history(location: (name: string) => Location, cacheFolder: string): Promise<unknown[]> {
  const seen: unknown[] = []
  let nowMs = Date.UTC(2026, 0, 1)
  const settings: OpenOptions = {
    ...SETTINGS,
    // Only the wall clock is the test's: whatever waits, waits for real.
    clock: { ...systemClock, nowMs: () => nowMs },
    diskCache: { folder: cacheFolder, sizeBytes: 16 * 1024 * 1024 },
  }
  let db = await open(location('db'), settings)
  for (let i = 0; i < 300; i++) await db.put(`key-${String(i).padStart(4, '0')}`, `${i}`.repeat(1 + (i % 7) * 200))
  await db.flush()
  await db.deleteRange({ gte: 'key-0050', lt: 'key-0150' })
  await db.merge('key-0001', '+a')
  await db.merge('new', 'x')
  await db.flush()
  await db.merge('new', 'y')
  const counts = db.keyspace('counts')
  for (let i = 0; i < 50; i++) await counts.merge(`c${i % 3}`, counterBytes(i))
  const sessions = db.keyspace('sessions')
  await sessions.put('s1', 'short')
  await sessions.put('s2', 'long', { ttlMs: Number.POSITIVE_INFINITY })
  await db.write(new WriteBatch().put('both', '1').put('s3', 'batch', { keyspace: 'sessions', ttlMs: 120_000 }))
  await db.put('lock', 'mine', { ifAbsent: true })
  seen.push(await db.put('lock', 'theirs', { ifAbsent: true }).catch((error: { code: string }) => error.code))
  await db.transact(async (tx) => {
    const old = Buffer.from((await tx.get('key-0002')) ?? []).toString()
    await tx.put('moved', `${old.length}`)
    await tx.delete('key-0002')
  }, { isolation: 'serializable' })
  const snapshot = db.snapshot()
  seen.push(await contents(db))
  await db.compact()
  nowMs += 90_000
  seen.push(await contents(db), await contents(db, snapshot), counterValue(await counts.get('c1')))
  snapshot.close()
  await db.deleteRange({ gte: 'key-02', lt: 'key-03' })
  await db.compact()
  seen.push(await contents(db))
  const { id } = await db.checkpoint({ name: 'here' })
  await db.put('later', '1')
  await db.close()
  await clone(location('db'), location('part'), { checkpoint: id, range: { gte: 'c', lt: 'key-0160' } })
  const part = await open(location('part'), { ...settings, diskCache: { folder: `${cacheFolder}-part`, sizeBytes: 16 * 1024 * 1024 } })
  seen.push(await contents(part))
  await part.close()
  const reader = await openReader(location('db'), { checkpoint: 'here', clock: { ...systemClock, nowMs: () => nowMs } })
  seen.push(await contents(reader))
  await reader.close()
  db = await open(location('db'), settings)
  nowMs += 60_000
  seen.push(await contents(db), await db.getEntry('lock').then((entry) => Buffer.from(entry?.value ?? []).toString()))
  await db.close()
  return seen
}

describe.skipIf(server === undefined)('semantics on S3', () => {
  let folder: string
  const { endpoint = '', bucket = '' } = server ?? {}
  const prefix = `semantics/${randomHex(systemRandom, 8)}`

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-s3-'))
  })
  afterEach(async () => {
    const store = new S3ObjectStore({ bucket, endpoint })
    for (;;) {
      const page = await store.list(prefix)
      if (page.objects.length === 0) break
      await store.deleteMany(page.objects.map((object) => object.key))
    }
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('one history shows the same there as in memory', async () => {
    const memory = new MemoryObjectStore()
    const wanted = await history((name) => ({ store: memory, prefix: name }), join(folder, 'memory'))
    const found = await history((name) => `s3://${bucket}/${prefix}/${name}?endpoint=${endpoint}`, join(folder, 's3'))
    expect(found).toEqual(wanted)
    expect(wanted[0]).toBe('CONFLICT')
  })
})
