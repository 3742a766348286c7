import { MoraineError } from '@moraine/base'

/** What `MORAINE_TEST_S3` may say. */
export type S3ServerWish = 'auto' | 'minio' | 'rgw' | 'none'

/** A way to get a server, tried in order until one works. */
export type S3ServerSource = 'external' | 'minio' | 'rgw'

/**
 * The sources to try, best first. An endpoint in the environment wins, because somebody took the trouble to name it;
 * MinIO comes before Ceph because it is the server most people run at home. An explicit wish leaves no second choice.
 */
export function serverSources(environment: NodeJS.ProcessEnv): readonly S3ServerSource[] {
  const wish = environment['MORAINE_TEST_S3'] || 'auto'
  switch (wish) {
    case 'auto':
      return environment['MORAINE_S3_ENDPOINT'] ? ['external'] : ['minio', 'rgw']
    case 'minio':
    case 'rgw':
      return [wish]
    case 'none':
      return []
    default:
      throw new MoraineError('INVALID', `MORAINE_TEST_S3 is "${wish}"; it takes auto, minio, rgw or none`)
  }
}

/** The one line for a run whose S3 suites have no server. */
export function missingServerLine(suites: readonly string[], reasons: readonly string[]): string {
  const why = reasons.length > 0 ? reasons.join('; ') : 'MORAINE_TEST_S3=none'
  return (
    `S3 suites that did NOT run: ${suites.length > 0 ? suites.join(', ') : 'none in this selection'} (${why}). ` +
    'To run them put `minio` on PATH, install Go 1.24 or newer, or set MORAINE_S3_ENDPOINT and AWS_* credentials.'
  )
}
