// Invariant: the server is chosen in the documented order, an explicit wish is never replaced by something else, and a run
// without a server says which suites it left out.
import { describe, expect, test } from 'vitest'
import { missingServerLine, serverSources } from './server-choice.ts'

describe('serverSources', () => {
  test.each([
    [{}, ['minio', 'rgw']],
    [{ MORAINE_TEST_S3: 'auto' }, ['minio', 'rgw']],
    [{ MORAINE_S3_ENDPOINT: 'http://127.0.0.1:9000' }, ['external']],
    [{ MORAINE_TEST_S3: '', MORAINE_S3_ENDPOINT: '' }, ['minio', 'rgw']],
    [{ MORAINE_TEST_S3: 'rgw', MORAINE_S3_ENDPOINT: 'http://127.0.0.1:9000' }, ['rgw']],
    [{ MORAINE_TEST_S3: 'minio' }, ['minio']],
    [{ MORAINE_TEST_S3: 'none', MORAINE_S3_ENDPOINT: 'http://127.0.0.1:9000' }, []],
  ])('%j gives %j', (environment, sources) => {
    expect(serverSources(environment)).toEqual(sources)
  })

  test('refuses a wish it does not know', () => {
    expect(() => serverSources({ MORAINE_TEST_S3: 'ceph' })).toThrow('MORAINE_TEST_S3 is "ceph"')
  })
})

test('the line about a missing server names suites, reasons and remedies', () => {
  const line = missingServerLine(['test/a-s3.test.ts', 'test/s3.test.ts'], ['no MinIO: no Go', 'no Ceph RGW: no apt'])
  expect(line).not.toContain('\n')
  for (const part of ['test/a-s3.test.ts, test/s3.test.ts', 'no MinIO: no Go; no Ceph RGW: no apt', 'MORAINE_S3_ENDPOINT']) {
    expect(line).toContain(part)
  }
  expect(missingServerLine(['test/s3.test.ts'], [])).toContain('MORAINE_TEST_S3=none')
})
