import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { MoraineError } from '@moraine/base'

/**
 * Makes the bucket on the server unless it is there already. Credentials and region come from the `AWS_*` variables.
 * Rejects with UNAVAILABLE when the server does not answer or refuses.
 */
export async function ensureBucket(endpoint: string, bucket: string): Promise<void> {
  const client = new S3Client({ endpoint, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' })
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket })).catch(() =>
      client.send(new CreateBucketCommand({ Bucket: bucket })),
    )
  } catch (cause) {
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
    throw new MoraineError('UNAVAILABLE', `bucket "${bucket}" at ${endpoint} can be neither found nor made (${reason})`, {
      cause,
    })
  } finally {
    client.destroy()
  }
}
