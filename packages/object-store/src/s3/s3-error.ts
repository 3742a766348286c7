import { abortError, MoraineError, type MoraineErrorCode } from '@moraine/base'

/** What was being asked of S3 when it failed. */
export interface S3Call {
  readonly doing: string
  readonly bucket: string
  readonly endpoint: string | undefined
  /** A failed write may have happened all the same. */
  readonly write: boolean
  readonly signal?: AbortSignal | undefined
}

interface S3Failure {
  name?: string
  Code?: string
  code?: string
  message?: string
  Region?: string
  $metadata?: { httpStatusCode?: number }
  $response?: { statusCode?: number }
}

/** HTTP status of a failed S3 call; undefined when no response came. */
export function s3Status(error: unknown): number | undefined {
  const failure = error as S3Failure | undefined
  return failure?.$metadata?.httpStatusCode ?? failure?.$response?.statusCode
}

/** S3's own name for what failed, such as `SlowDown`. */
export function s3Code(error: unknown): string {
  const failure = error as S3Failure | undefined
  return failure?.Code ?? failure?.name ?? 'Unknown'
}

/** Refusals that S3 reports with a client's status (400) although a repeated request may pass. */
const PASSING_CODES = new Set(['RequestTimeout', 'IncompleteBody', 'BadDigest', 'SlowDown', 'InternalError', 'ServiceUnavailable'])

const BAD_KEY_CODES = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'InvalidToken', 'AuthorizationHeaderMalformed'])

/** Nothing was sent: a request that failed so cannot have had an effect. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** The MoraineError that a failed S3 call means. */
export function s3Error(error: unknown, call: S3Call): MoraineError {
  if (error instanceof MoraineError) return error
  if (call.signal?.aborted === true) return abortError(call.signal)
  const status = s3Status(error)
  const code = s3Code(error)
  const report = (errorCode: MoraineErrorCode, advice: string, retryable: boolean, ambiguous = false): MoraineError =>
    new MoraineError(errorCode, `cannot ${call.doing} in ${place(call)}: ${advice}`, {
      detail: {
        retryable,
        ambiguous: ambiguous && call.write,
        ...(status !== undefined && { status }),
        s3Code: code,
      },
      cause: error,
    })
  if (PASSING_CODES.has(code) || (status !== undefined && isPassingStatus(status))) {
    return report('UNAVAILABLE', `the server answered ${status ?? ''} ${code}; try again`, true, true)
  }
  if (status === undefined || (status >= 200 && status < 300)) return connectionError(error, report)
  return refusal(error, status, code, call, report)
}

type Report = (code: MoraineErrorCode, advice: string, retryable: boolean, ambiguous?: boolean) => MoraineError

function isPassingStatus(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || (status >= 500 && status !== 501)
}

function refusal(error: unknown, status: number, code: string, call: S3Call, report: Report): MoraineError {
  if (code === 'NoSuchBucket') {
    return report('INVALID', `there is no bucket named ${call.bucket}; create it, or check the name and the endpoint`, false)
  }
  if (code === 'ExpiredToken' || code === 'TokenRefreshRequired') {
    return report('UNAVAILABLE', 'the session token has expired; renew the credentials', false)
  }
  if (code === 'RequestTimeTooSkewed') {
    return report('INVALID', "the clock of this machine differs too much from the server's; set it right", false)
  }
  if (status === 301 || status === 307 || code === 'PermanentRedirect' || code === 'IllegalLocationConstraintException') {
    const region = (error as S3Failure).Region
    return report('INVALID', `the bucket is in another region${region === undefined ? '' : ` (${region})`}; set the region`, false)
  }
  if (BAD_KEY_CODES.has(code)) {
    return report(
      'INVALID',
      `the server does not accept the credentials (${code}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ` +
        'AWS_SESSION_TOKEN or the profile, and the region',
      false,
    )
  }
  if (status === 401 || status === 403) {
    return report('INVALID', `access is denied (${code}); check that these credentials may do this on this bucket`, false)
  }
  const message = (error as S3Failure).message ?? ''
  return report('INVALID', `the server refused with ${status} ${code}: ${message}`, false)
}

function connectionError(error: unknown, report: Report): MoraineError {
  const { name = '', code, message = String(error) } = error as S3Failure
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return report(
      'INVALID',
      'no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a ' +
        `role is attached (${message})`,
      false,
    )
  }
  if (message === 'Region is missing') return report('INVALID', 'no region is set; set AWS_REGION or the option region', false)
  if (name === 'EndpointError') return report('INVALID', `the endpoint cannot be used (${message})`, false)
  if (code !== undefined && NEVER_SENT.has(code)) {
    return report('UNAVAILABLE', `the server cannot be reached (${code}); check the endpoint and that the server runs`, true)
  }
  if (code !== undefined && /CERT|SELF_SIGNED|ERR_TLS/.test(code)) {
    return report('UNAVAILABLE', `the server's certificate is not trusted (${code}); check it or set NODE_EXTRA_CA_CERTS`, false)
  }
  return report('UNAVAILABLE', `the connection failed (${message}); try again`, true, true)
}

function place(call: S3Call): string {
  return call.endpoint === undefined ? `s3://${call.bucket}` : `s3://${call.bucket} at ${call.endpoint}`
}
