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
  } catch (error) {
    // The SDK's error is not passed on as the cause: it drags the whole connection into the test report.
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    throw new MoraineError('UNAVAILABLE', `bucket "${bucket}" at ${endpoint} can be neither found nor made (${reason})`)
  } finally {
    client.destroy()
  }
}
