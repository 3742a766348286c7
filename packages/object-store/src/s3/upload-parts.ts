import { Readable } from 'node:stream'
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand, type S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'

export interface PartsUpload {
  readonly client: S3Client
  readonly bucket: string
  readonly key: string
  readonly pieces: readonly Uint8Array[]
  readonly sizeBytes: number
  readonly partSizeBytes: number
  readonly signal: AbortSignal | undefined
  /** Sends one command within the store's limit of requests. */
  readonly send: (command: object, signal: AbortSignal | undefined) => Promise<object>
}

const MAX_PARTS = 10_000
const PARTS_IN_FLIGHT = 4
const ABORT_ATTEMPTS = 3

/**
 * Sends a large body as a multipart upload. When it resolves the object is there; when it rejects, the upload has
 * been aborted on the server, so that no parts are left to be paid for. (A process that dies in between leaves them:
 * give the bucket a lifecycle rule that aborts incomplete multipart uploads.)
 */
export async function uploadParts(upload: PartsUpload): Promise<void> {
  const { pieces, signal } = upload
  // On abort the library returns before the server was told and leaves the parts under way to themselves. So it gets
  // no signal: its client has it, the parts fail, and the library tells the server before it rejects.
  const send = (command: object): Promise<object> => {
    if (command instanceof AbortMultipartUploadCommand) return abortUpload(upload, command)
    // Creation is not interrupted: the id in its answer is what the upload is aborted by.
    return upload.send(command, command instanceof CreateMultipartUploadCommand ? undefined : signal)
  }
  await new Upload({
    client: { config: upload.client.config, send } as unknown as S3Client,
    params: {
      Bucket: upload.bucket,
      Key: upload.key,
      Body: pieces.length === 1 ? (pieces[0] as Uint8Array) : Readable.from(pieces),
      ContentLength: upload.sizeBytes,
    },
    queueSize: PARTS_IN_FLIGHT,
    partSize: Math.max(upload.partSizeBytes, Math.ceil(upload.sizeBytes / MAX_PARTS)),
  }).done()
}

/** Tells the server, a few times if need be. Its failure must not hide why the upload was aborted. */
async function abortUpload(upload: PartsUpload, command: AbortMultipartUploadCommand): Promise<object> {
  for (let attempt = 0; attempt < ABORT_ATTEMPTS; attempt++) {
    try {
      return await upload.send(command, undefined)
    } catch {
      continue
    }
  }
  return {}
}
