import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3'
import { isMoraineError } from '@moraine/base'
import type { CallOptions, UnfinishedUpload, UnfinishedUploads } from '../object-store.ts'

/** Sends one command within the store's limit of requests; its errors are MoraineErrors. */
export type SendCommand = (
  doing: string,
  write: boolean,
  command: { input: object },
  signal: AbortSignal | undefined,
) => Promise<object>

/** The multipart uploads of a bucket that were begun and neither completed nor aborted. */
export class S3UnfinishedUploads implements UnfinishedUploads {
  readonly #bucket: string
  readonly #send: SendCommand

  constructor(bucket: string, send: SendCommand) {
    this.#bucket = bucket
    this.#send = send
  }

  async list(prefix: string, options?: CallOptions): Promise<readonly UnfinishedUpload[]> {
    const found: UnfinishedUpload[] = []
    let markers: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const command = new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, ...markers })
      const page = (await this.#send(`list the uploads of ${prefix}*`, false, command, options?.signal)) as ListMultipartUploadsCommandOutput
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || !Key.startsWith(prefix)) continue
        found.push({ key: Key, uploadId: UploadId, begunAtMs: Initiated?.getTime() ?? 0 })
      }
      if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return found
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  async abort({ key, uploadId }: Pick<UnfinishedUpload, 'key' | 'uploadId'>, options?: CallOptions): Promise<void> {
    const command = new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key: key, UploadId: uploadId })
    try {
      await this.#send(`abort the upload of ${key}`, true, command, options?.signal)
    } catch (error) {
      if (isMoraineError(error) && error.detail['s3Code'] === 'NoSuchUpload') return
      throw error
    }
  }
}
