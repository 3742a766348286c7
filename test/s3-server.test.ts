// Invariant: when the S3 suites run, the server they are pointed at is real, answers with the given keys, and honours the
// one conditional operation Moraine relies on.
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { s3TestServer } from '@moraine/testing'
import { describe, expect, test } from 'vitest'

const server = s3TestServer()

describe.skipIf(server === undefined)('the S3 server of this run', () => {
  const client = new S3Client({
    endpoint: server?.endpoint ?? '',
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })

  test('creates an object once', async () => {
    const create = () =>
      client.send(
        new PutObjectCommand({
          Bucket: server?.bucket,
          Key: `setup/${process.pid}-${Date.now()}`,
          Body: 'first',
          IfNoneMatch: '*',
        }),
      )
    const command = { Bucket: server?.bucket, Key: `setup/${process.pid}-once`, Body: 'first', IfNoneMatch: '*' }
    await expect(create()).resolves.toBeDefined()
    await client.send(new PutObjectCommand(command))
    await expect(client.send(new PutObjectCommand(command))).rejects.toMatchObject({ name: 'PreconditionFailed' })
  })
})
