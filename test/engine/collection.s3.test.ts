// Invariant: on a real S3 server a collection deletes orphans and unfinished uploads of former owners and nothing else, and
// a destroyed database leaves nothing.
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3'
import { randomHex, sleep, systemClock, systemRandom } from '@moraine/base'
import { PrefixedObjectStore, S3ObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import { collectGarbage, destroy, open, verify } from 'moraine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataIn, dataOf, namesIn, newestOf } from './bucket.ts'
import { contents, numbered, putAll, QUIET } from './subject.ts'

const server = s3TestServer()
const NOW = { graceMs: 0, force: true }

/** The server's Date has no fractions: what was written in the same second counts as younger than any grace. */
const pastTheSecond = (): Promise<void> => sleep(systemClock, 1_100)

describe.skipIf(server === undefined)('collection on S3', () => {
  const { endpoint = '', bucket = '' } = server ?? {}
  const prefix = `collection/${randomHex(systemRandom, 8)}`
  let store: S3ObjectStore
  let admin: S3Client

  beforeAll(() => {
    store = new S3ObjectStore({ bucket, endpoint })
    admin = new S3Client({ endpoint, forcePathStyle: true, region: process.env['AWS_REGION'] ?? 'us-east-1' })
  })
  afterAll(async () => {
    await store.close()
    admin.destroy()
  })

  test('pitfall 18: orphans go, what is needed stays, and destroying leaves nothing', async () => {
    const database = { store, prefix }
    const part = new PrefixedObjectStore(store, prefix)
    const db = await open(database, QUIET)
    await putAll(db, numbered(0, 100))
    await db.flush()
    await putAll(db, numbered(50, 150))
    await db.compact()
    await db.close()
    await part.put('sst/000000000001-0123456789abcdef01234567.sst', new Uint8Array(10))
    const next = await open(database, QUIET)
    await pastTheSecond()
    expect(await collectGarbage(database, { ...NOW, dryRun: true })).toMatchObject({ tables: 1 })
    expect(await collectGarbage(database, NOW)).toMatchObject({ tables: 1 })
    expect(await dataIn(part)).toEqual(dataOf(await newestOf(part)))
    expect(Object.keys(await contents(next))).toHaveLength(150)
    await next.close()
    expect((await verify(database, { deep: true })).problems).toEqual([])
    await destroy(database)
    expect(await namesIn(part, '')).toEqual([])
  })

  test('pitfall 18: unfinished uploads are listed and aborted where the server lists them', async () => {
    const Key = `${prefix}-uploads/sst/000000000001-0123456789abcdef01234567.sst`
    const part = new PrefixedObjectStore(store, `${prefix}-uploads`)
    const { UploadId } = await admin.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }))
    await admin.send(new UploadPartCommand({ Bucket: bucket, Key, UploadId, PartNumber: 1, Body: new Uint8Array(100) }))
    // Some servers list uploads by whole keys only.
    const listed = (await part.uploads?.list('sst/000000000001-0123456789abcdef01234567.sst')) ?? []
    expect(listed.map(({ key, uploadId }) => [key, uploadId])).toEqual([[Key.slice(`${prefix}-uploads/`.length), UploadId]])
    expect(Math.abs((listed[0]?.begunAtMs ?? 0) - Date.now())).toBeLessThan(600_000)
    for (const upload of listed) await part.uploads?.abort(upload)
    for (const upload of listed) await part.uploads?.abort(upload)
    const left = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: Key }))
    expect(left.Uploads ?? []).toEqual([])
  })

  test('pitfall 18: a collection aborts the uploads of former owners and of nobody else', async () => {
    const database = { store, prefix: `${prefix}-crash` }
    const db = await open(database, QUIET)
    await db.close()
    const next = await open(database, QUIET)
    const keys = [1, 2].map((epoch) => `${prefix}-crash/sst/00000000000${epoch}-0123456789abcdef01234567.sst`)
    for (const Key of keys) await admin.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }))
    const part = new PrefixedObjectStore(store, `${prefix}-crash`)
    await pastTheSecond()
    if (((await part.uploads?.list('sst/')) ?? []).length === 2) {
      expect(await collectGarbage(database, { graceMs: 3_600_000 })).toMatchObject({ uploads: 0 })
      expect(await collectGarbage(database, NOW)).toMatchObject({ uploads: 1 })
      expect((await part.uploads?.list('sst/'))?.map(({ key }) => key)).toEqual([keys[1]?.slice(`${prefix}-crash/`.length)])
    }
    for (const key of keys) {
      const left = (await store.uploads.list(key)) ?? []
      for (const upload of left) await store.uploads.abort(upload)
    }
    await next.close()
    await destroy(database)
  })
})
