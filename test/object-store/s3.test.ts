// Invariant: the S3 driver keeps the whole contract of ObjectStore on a real server, and leaves no upload behind.
import { CreateBucketCommand, DeleteBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { S3ObjectStore } from '@moraine/object-store'
import { objectStoreConformance } from '@moraine/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const endpoint = process.env['MORAINE_S3_ENDPOINT']

describe.skipIf(endpoint === undefined)('S3ObjectStore on a real server', () => {
  const bucket = `moraine-store-${process.pid}-${Date.now().toString(36)}`
  let admin: S3Client
  let store: S3ObjectStore
  beforeAll(async () => {
    admin = new S3Client({ endpoint: endpoint as string, forcePathStyle: true, region: process.env['AWS_REGION'] ?? 'us-east-1' })
    await admin.send(new CreateBucketCommand({ Bucket: bucket }))
    store = new S3ObjectStore({ bucket, endpoint })
  })
  afterAll(async () => {
    for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
      const page = await store.list('', { token })
      await store.deleteMany(page.objects.map(({ key }) => key))
      token = page.nextToken
    }
    await admin.send(new DeleteBucketCommand({ Bucket: bucket }))
    await store.close()
    admin.destroy()
  })

  objectStoreConformance({ test, store: () => store })

  test('pitfall 18: aborted and finished uploads leave no parts', async () => {
    const listed = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    expect(listed.Uploads ?? []).toEqual([])
  })

  test('a missing bucket is INVALID in every call and named', async () => {
    const missing = new S3ObjectStore({ bucket: `${bucket}-missing`, endpoint })
    const named = expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(`${bucket}-missing`) })
    await expect(missing.get('a')).rejects.toEqual(named)
    await expect(missing.head('a')).rejects.toEqual(named)
    await expect(missing.put('a', new Uint8Array(1))).rejects.toEqual(named)
    await expect(missing.put('a', new Uint8Array(17 * 1024 * 1024))).rejects.toEqual(named)
    await expect(missing.list('')).rejects.toEqual(named)
    await expect(missing.deleteMany(['a'])).rejects.toEqual(named)
    await missing.close()
  })

  test.each([
    { accessKeyId: 'nobody', secretAccessKey: 'wrong-secret' },
    { accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'wrong-secret' },
  ])('wrong credentials are INVALID and the message says what to check', async (credentials) => {
    const stranger = new S3ObjectStore({ bucket, endpoint, credentials })
    await expect(stranger.list('')).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(/AWS_SECRET_ACCESS_KEY/) })
    await stranger.close()
  })

  test('a closed store answers CLOSED', async () => {
    const closed = new S3ObjectStore({ bucket, endpoint })
    await closed.get('a')
    await closed.close()
    await expect(closed.get('a')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(closed.put('a', new Uint8Array(17 * 1024 * 1024))).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
