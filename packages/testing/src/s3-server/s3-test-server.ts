/** Which server the S3 suites run on: one of our own, or whatever endpoint the caller named. */
export type S3ServerKind = 'minio' | 'rgw' | 'external'

/** How a test reaches the S3 server of this run. Credentials and region are in the `AWS_*` variables as usual. */
export interface S3TestServer {
  readonly kind: S3ServerKind
  /** For example `http://127.0.0.1:34567`. */
  readonly endpoint: string
  /** A bucket that exists. Every test picks a prefix of its own in it. */
  readonly bucket: string
}

/**
 * The server that `test/setup/s3-server.ts` started for this run or found in the environment; undefined when there is
 * none, and then a suite skips itself with `describe.skipIf(server === undefined)`. The setup has already named the
 * suites that do not run, and has failed the run if it is CI's.
 */
export function s3TestServer(environment: NodeJS.ProcessEnv = process.env): S3TestServer | undefined {
  const endpoint = environment['MORAINE_S3_ENDPOINT']
  if (!endpoint) return undefined
  const kind = environment['MORAINE_S3_SERVER']
  return {
    kind: kind === 'minio' || kind === 'rgw' ? kind : 'external',
    endpoint,
    bucket: environment['MORAINE_S3_BUCKET'] || DEFAULT_BUCKET,
  }
}

/** The bucket made for the tests where `MORAINE_S3_BUCKET` names none. */
export const DEFAULT_BUCKET = 'moraine-test'
