import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { type Clock, MoraineError } from '@moraine/base'

export interface S3ObjectStoreOptions {
  readonly bucket: string
  /** `http://host:port` of a server other than AWS. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's own chain (AWS_REGION, the profile); `us-east-1` for a custom endpoint when that is silent. */
  readonly region?: string | undefined
  /** Default: the SDK's own chain (environment, profile, SSO, web identity, container, instance). */
  readonly credentials?: S3ClientConfig['credentials'] | undefined
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: true for a custom endpoint. */
  readonly forcePathStyle?: boolean | undefined
  /** A client made elsewhere, used as it is and left open by `close`; it must be built with `maxAttempts: 1`. */
  readonly client?: S3Client | undefined
  /** Requests in flight, and sockets, at most. Default 64. */
  readonly maxConcurrency?: number | undefined
  /** Bodies of this size and more go up in parts. Default 16 MiB. */
  readonly multipartThresholdBytes?: number | undefined
  /** Size of a part, at least 5 MiB. Default 8 MiB. */
  readonly partSizeBytes?: number | undefined
  /** A request is given up when its socket is silent for so long. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined
  readonly clock?: Clock | undefined
}

export const DEFAULT_MAX_CONCURRENCY = 64
export const DEFAULT_MULTIPART_THRESHOLD_BYTES: number = 16 * 1024 * 1024
export const DEFAULT_PART_SIZE_BYTES: number = 8 * 1024 * 1024
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000
/** S3 refuses smaller parts, except for the last one. */
const MIN_PART_SIZE_BYTES = 5 * 1024 * 1024

/** Throws INVALID when an option cannot work. */
export function checkS3Options(options: S3ObjectStoreOptions): void {
  if (typeof options.bucket !== 'string' || !/^[a-zA-Z0-9][\w.:-]*$/.test(options.bucket)) {
    throw new MoraineError('INVALID', `bucket must be the name of an S3 bucket, not ${JSON.stringify(options.bucket)}`)
  }
  if (options.endpoint !== undefined && !isHttpUrl(options.endpoint)) {
    throw new MoraineError(
      'INVALID',
      `endpoint must be an http or https URL such as http://127.0.0.1:9000, not ${JSON.stringify(options.endpoint)}`,
    )
  }
  checkWhole('maxConcurrency', options.maxConcurrency, 1)
  checkWhole('multipartThresholdBytes', options.multipartThresholdBytes, MIN_PART_SIZE_BYTES)
  checkWhole('partSizeBytes', options.partSizeBytes, MIN_PART_SIZE_BYTES)
  checkWhole('requestTimeoutMs', options.requestTimeoutMs, 1)
}

function checkWhole(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return
  throw new MoraineError('INVALID', `${name} must be a whole number of at least ${least}, not ${String(value)}`)
}

function isHttpUrl(text: string): boolean {
  if (typeof text !== 'string' || !URL.canParse(text)) return false
  const url = new URL(text)
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.username === ''
}
