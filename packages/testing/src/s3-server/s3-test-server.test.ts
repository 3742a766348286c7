// Invariant: a suite learns of a server exactly when the environment names an endpoint.
import { expect, test } from 'vitest'
import { s3TestServer } from './s3-test-server.ts'

test('no endpoint, no server', () => {
  expect(s3TestServer({})).toBeUndefined()
  expect(s3TestServer({ MORAINE_S3_ENDPOINT: '', MORAINE_S3_SERVER: 'minio' })).toBeUndefined()
})

test('a server of ours, and one that somebody else named', () => {
  const endpoint = 'http://127.0.0.1:9000'
  expect(s3TestServer({ MORAINE_S3_ENDPOINT: endpoint, MORAINE_S3_SERVER: 'rgw', MORAINE_S3_BUCKET: 'b' })).toEqual({
    kind: 'rgw',
    endpoint,
    bucket: 'b',
  })
  expect(s3TestServer({ MORAINE_S3_ENDPOINT: endpoint })).toEqual({ kind: 'external', endpoint, bucket: 'moraine-test' })
})
