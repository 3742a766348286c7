// Invariant: on a real S3 server a database answers as the model does, survives kills, fences its former owner, opens
// with few requests, and fails with one clear error where the bucket or the keys are wrong.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, systemRandom, randomHex } from '@moraine/base'
import { S3ObjectStore } from '@moraine/object-store'
import { driveModel, MortalObjectStore, s3TestServer } from '@moraine/testing'
import { MoraineError, open } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SMALL_SETTINGS } from './small-settings.ts'

const server = s3TestServer()

describe.skipIf(server === undefined)('a database on S3', () => {
  let folder: string
  let url: string
  const { endpoint = '', bucket = '' } = server ?? {}

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-s3-'))
    url = `s3://${bucket}/database/${randomHex(systemRandom, 8)}?endpoint=${endpoint}`
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
    await rm(folder, { recursive: true, force: true })
  })

  test.each(['local', 'object-store'] as const)('agrees with the model through kills and reopenings, log: %s', async (log) => {
    const wal = log === 'local' ? ({ kind: log, folder: join(folder, 'wal'), sync: 'never' } as const) : log
    const prefix = new URL(url).pathname.slice(1)
    let mortal: MortalObjectStore | undefined
    const stores: S3ObjectStore[] = []
    const subject = {
      open: () => {
        const store = new S3ObjectStore({ bucket, endpoint })
        stores.push(store)
        mortal = new MortalObjectStore(store)
        return open({ store: mortal, prefix }, { ...SMALL_SETTINGS, wal })
      },
      kill: async () => mortal?.kill(),
    }
    const options = { random: new SeededRandom(7), steps: 300, survives: 'acknowledged' } as const
    await expect(driveModel(subject, options)).resolves.toBeUndefined()
    await Promise.all(stores.map((store) => store.close()))
  })

  test('opens with four requests and reads a cold key with one', async () => {
    const writer = await open(url, { wal: 'none' })
    for (let i = 0; i < 1000; i++) void writer.put(`key-${i}`, `value ${i}`)
    await writer.close()
    const db = await open(url, { wal: 'none' })
    expect(db.stats().store.requests).toBe(4)
    expect(db.stats().lastSequence).toBe(1000)
    // The table's metadata, then the block.
    expect(Buffer.from((await db.get('key-7')) ?? []).toString()).toBe('value 7')
    expect(db.stats().store.requests).toBe(6)
    expect(await db.get('key-7-is-absent')).toBeUndefined()
    await db.close()
  })

  test('a second opener fences the first', async () => {
    const first = await open(url, { wal: 'none' })
    await first.put('a', '1')
    await first.flush()
    const second = await open(url, { wal: 'none' })
    await first.put('b', '2')
    await expect(first.flush()).rejects.toMatchObject({ code: 'FENCED' })
    await expect(first.put('c', '3')).rejects.toMatchObject({ code: 'FENCED' })
    expect(await second.get('b')).toBeUndefined()
    expect(await second.get('a')).toBeDefined()
    await second.close()
    await first.close()
  })

  test('with the log in the store, the first has its acknowledged writes taken over and acknowledges no more', async () => {
    const first = await open(url, { wal: 'object-store' })
    await Promise.all(Array.from({ length: 100 }, (_, i) => first.put(`key-${i}`, `value ${i}`)))
    const second = await open(url, { wal: 'object-store' })
    await expect(first.put('late', '1')).rejects.toMatchObject({ code: 'FENCED' })
    expect(await second.get('late')).toBeUndefined()
    expect((await second.getMany(Array.from({ length: 100 }, (_, i) => `key-${i}`))).every((value) => value !== undefined)).toBe(true)
    await second.close()
    await first.close()
  })

  test('a bucket that is not there is one clear error', async () => {
    const opening = open(`s3://moraine-no-such-bucket/db?endpoint=${endpoint}`, { wal: 'none' })
    await expect(opening).rejects.toThrow(MoraineError)
    await expect(opening).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('moraine-no-such-bucket') })
  })

  test('wrong credentials are one clear error', async () => {
    const store = new S3ObjectStore({ bucket, endpoint, credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } })
    await expect(open({ store, prefix: 'x' }, { wal: 'none' })).rejects.toMatchObject({ name: 'MoraineError', code: 'INVALID' })
    await store.close()
  })
})
