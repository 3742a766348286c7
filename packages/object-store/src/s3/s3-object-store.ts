import type { Readable } from 'node:stream'
import {
  type _Object,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type DeleteObjectsCommandOutput,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { type Clock, concatBytes, MoraineError, systemClock, throwIfAborted } from '@moraine/base'
import PQueue from 'p-queue'
import { checkMaxKeys, checkRange, MAX_PAGE_KEYS, resolveRange } from '../call-options.ts'
import { checkKey, checkPrefix, compareKeys } from '../object-key.ts'
import { sourcePieces, sourceSizeBytes } from '../object-source.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectBody,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  ObjectStoreTraits,
  PutOptions,
  PutOutcome,
  UnfinishedUploads,
} from '../object-store.ts'
import type { LeanGet, LeanResponse } from './lean-get.ts'
import { readBody } from './read-body.ts'
import { makeS3Client, rememberServerTime, serverTimeOf, withSignal } from './s3-client.ts'
import { s3Code, s3Error, s3Status } from './s3-error.ts'
import {
  checkS3Options,
  DEFAULT_MAX_CONCURRENCY,
  DEFAULT_MULTIPART_THRESHOLD_BYTES,
  DEFAULT_PART_SIZE_BYTES,
  type S3ObjectStoreOptions,
} from './s3-options.ts'
import { S3UnfinishedUploads } from './unfinished-uploads.ts'
import { uploadParts } from './upload-parts.ts'

interface Call {
  readonly doing: string
  readonly write: boolean
  readonly signal: AbortSignal | undefined
}

/** An object store in a bucket of AWS S3 or a server that speaks its protocol. */
export class S3ObjectStore implements ObjectStore {
  readonly url: string
  readonly traits: ObjectStoreTraits
  readonly uploads: UnfinishedUploads
  readonly #bucket: string
  readonly #endpoint: string | undefined
  readonly #client: S3Client
  readonly #ownsClient: boolean
  readonly #leanGet: LeanGet | undefined
  readonly #clock: Clock
  readonly #queue: PQueue
  readonly #multipart: { readonly thresholdBytes: number; readonly partSizeBytes: number }
  #bucketSeen = false
  #closed = false

  constructor(options: S3ObjectStoreOptions) {
    checkS3Options(options)
    this.#bucket = options.bucket
    this.#endpoint = options.endpoint
    this.#ownsClient = options.client === undefined
    if (options.client === undefined) {
      const { client, leanGet } = makeS3Client(options)
      this.#client = client
      this.#leanGet = leanGet
    } else {
      this.#client = options.client
      rememberServerTime(this.#client)
    }
    this.#clock = options.clock ?? systemClock
    this.#queue = new PQueue({ concurrency: options.maxConcurrency ?? DEFAULT_MAX_CONCURRENCY })
    this.#multipart = {
      thresholdBytes: options.multipartThresholdBytes ?? DEFAULT_MULTIPART_THRESHOLD_BYTES,
      partSizeBytes: options.partSizeBytes ?? DEFAULT_PART_SIZE_BYTES,
    }
    this.url = `s3://${options.bucket}`
    this.traits = { orderedList: !options.bucket.endsWith('--x-s3'), multipart: this.#multipart, endpoint: options.endpoint }
    this.uploads = new S3UnfinishedUploads(options.bucket, async (doing, write, command, signal) => {
      const call = { doing, write, signal }
      const withItsSignal = Object.assign(command, { input: withSignal(command.input, signal) })
      try {
        return await this.#admitted(call, () => this.#send(withItsSignal, signal))
      } catch (error) {
        throw this.#mapped(error, call)
      }
    })
  }

  async get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    checkKey(key)
    const range = options?.range
    checkRange(range)
    // HTTP cannot ask for zero bytes.
    if (range !== undefined && ('suffix' in range ? range.suffix : range.length) === 0) {
      return await this.#emptyBody(key, options)
    }
    const call = { doing: `read ${key}`, write: false, signal: options?.signal }
    const header = range && rangeHeader(range)
    try {
      return await this.#admitted(call, async () => {
        if (this.#leanGet?.ready === true) return await bodyOf(await this.#leanGet.get(key, header, call.signal), range)
        return await bodyOf(await this.#getBySdk(key, header, call.signal), range)
      })
    } catch (error) {
      if (s3Code(error) === 'NoSuchKey') return undefined
      if (s3Status(error) === 416) return await this.#emptyBody(key, options)
      throw this.#mapped(error, call)
    }
  }

  async put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    checkKey(key)
    const pieces = sourcePieces(body)
    const sizeBytes = sourceSizeBytes(pieces)
    const ifAbsent = options?.ifAbsent === true
    const call = { doing: `write ${key}`, write: true, signal: options?.signal }
    try {
      if (!ifAbsent && sizeBytes >= this.#multipart.thresholdBytes) {
        this.#checkOpen(call.signal)
        await uploadParts({
          client: this.#client,
          bucket: this.#bucket,
          key,
          pieces,
          sizeBytes,
          partSizeBytes: this.#multipart.partSizeBytes,
          signal: call.signal,
          send: (command, signal) => this.#sendPart(command as { input: object }, signal),
        })
      } else {
        const input = {
          Bucket: this.#bucket,
          Key: key,
          Body: pieces.length === 1 ? (pieces[0] as Uint8Array) : concatBytes(pieces),
          ...(ifAbsent && { IfNoneMatch: '*' }),
        }
        await this.#admitted(call, () => this.#send(new PutObjectCommand(withSignal(input, call.signal)), call.signal))
      }
      return 'created'
    } catch (error) {
      if (ifAbsent && s3Status(error) === 412) return 'exists'
      throw this.#mapped(error, call)
    }
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    checkKey(key)
    const call = { doing: `look up ${key}`, write: false, signal: options?.signal }
    const input = { Bucket: this.#bucket, Key: key }
    try {
      const output = (await this.#admitted(call, () =>
        this.#send(new HeadObjectCommand(withSignal(input, call.signal)), call.signal),
      )) as HeadObjectCommandOutput
      return { key, sizeBytes: output.ContentLength ?? 0, lastModifiedMs: output.LastModified?.getTime() ?? 0 }
    } catch (error) {
      if (s3Status(error) !== 404) throw this.#mapped(error, call)
      await this.#checkBucket(call.signal)
      return undefined
    }
  }

  async list(prefix: string, options?: ListOptions): Promise<ListPage> {
    checkPrefix(prefix)
    const maxKeys = checkMaxKeys(options)
    const call = { doing: `list ${prefix}*`, write: false, signal: options?.signal }
    const { orderedList } = this.traits
    // Directory buckets list whole folders only and cannot start in the middle: what is too much is dropped here.
    const input = {
      Bucket: this.#bucket,
      Prefix: orderedList ? prefix : prefix.slice(0, prefix.lastIndexOf('/') + 1),
      MaxKeys: maxKeys,
      EncodingType: 'url' as const,
      ...(options?.token !== undefined && { ContinuationToken: options.token }),
      ...(orderedList && options?.token === undefined && options?.startAfter !== undefined && { StartAfter: options.startAfter }),
    }
    try {
      const output = (await this.#admitted(call, () =>
        this.#send(new ListObjectsV2Command(withSignal(input, call.signal)), call.signal),
      )) as ListObjectsV2CommandOutput
      const encoded = output.EncodingType === 'url'
      const objects = (output.Contents ?? []).map((object) => listedObject(object, encoded))
      const after = options?.token === undefined ? options?.startAfter : undefined
      return {
        objects: orderedList ? objects : objects.filter(({ key }) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0)),
        ...(output.IsTruncated === true && output.NextContinuationToken !== undefined && { nextToken: output.NextContinuationToken }),
        storeTimeMs: serverTimeOf(output) ?? this.#clock.nowMs(),
      }
    } catch (error) {
      throw this.#mapped(error, call)
    }
  }

  async delete(key: string, options?: CallOptions): Promise<void> {
    checkKey(key)
    const call = { doing: `delete ${key}`, write: true, signal: options?.signal }
    const input = { Bucket: this.#bucket, Key: key }
    try {
      await this.#admitted(call, () => this.#send(new DeleteObjectCommand(withSignal(input, call.signal)), call.signal))
    } catch (error) {
      if (s3Code(error) !== 'NoSuchKey') throw this.#mapped(error, call)
    }
  }

  async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    for (const key of keys) checkKey(key)
    this.#checkOpen(options?.signal)
    const unique = [...new Set(keys)]
    const requests: Promise<void>[] = []
    for (let at = 0; at < unique.length; at += MAX_PAGE_KEYS) {
      requests.push(this.#deleteBatch(unique.slice(at, at + MAX_PAGE_KEYS), options?.signal))
    }
    const outcomes = await Promise.allSettled(requests)
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#ownsClient) this.#client.destroy()
  }

  async #deleteBatch(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const call = { doing: `delete ${keys.length} objects`, write: true, signal }
    const input = { Bucket: this.#bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true } }
    try {
      const output = (await this.#admitted(call, () =>
        this.#send(new DeleteObjectsCommand(withSignal(input, signal)), signal),
      )) as DeleteObjectsCommandOutput
      const failures = (output.Errors ?? []).filter((error) => error.Code !== 'NoSuchKey')
      const first = failures[0]
      if (first === undefined) return
      const denied = first.Code === 'AccessDenied'
      throw new MoraineError(
        denied ? 'INVALID' : 'UNAVAILABLE',
        `${failures.length} of ${keys.length} objects were not deleted in ${this.url}; the first is ${first.Key ?? ''}: ` +
          `${first.Code ?? ''} ${first.Message ?? ''}`,
        { detail: { retryable: !denied, ambiguous: true, s3Code: first.Code } },
      )
    } catch (error) {
      throw this.#mapped(error, call)
    }
  }

  async #getBySdk(key: string, range: string | undefined, signal: AbortSignal | undefined): Promise<LeanResponse> {
    const input = { Bucket: this.#bucket, Key: key, ...(range !== undefined && { Range: range }) }
    const output = (await this.#send(new GetObjectCommand(withSignal(input, signal)), signal)) as GetObjectCommandOutput
    return { body: output.Body as Readable, contentLength: output.ContentLength, contentRange: output.ContentRange }
  }

  async #emptyBody(key: string, options: CallOptions | undefined): Promise<ObjectBody | undefined> {
    const info = await this.head(key, options)
    return info && { bytes: new Uint8Array(0), objectSizeBytes: info.sizeBytes }
  }

  /** A HEAD answers 404 without saying whether the key or the whole bucket is missing. */
  async #checkBucket(signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucketSeen) return
    const call = { doing: 'look', write: false, signal }
    try {
      await this.#admitted(call, () => this.#send(new HeadBucketCommand(withSignal({ Bucket: this.#bucket }, signal)), signal))
    } catch (error) {
      if (s3Status(error) === 404) throw this.#mapped(Object.assign(error as object, { Code: 'NoSuchBucket' }), call)
      // Without permission to look at the bucket itself, its answer about the key has to do.
      if (s3Status(error) !== 403) throw this.#mapped(error, call)
    }
  }

  /** Runs one request within the limit; a call aborted while it waits for its turn leaves the queue at once. */
  async #admitted<T>(call: Call, request: () => Promise<T>): Promise<T> {
    this.#checkOpen(call.signal)
    const run = (): Promise<T> => {
      this.#checkOpen(call.signal)
      return request()
    }
    return await this.#queue.add(run, call.signal === undefined ? {} : { signal: call.signal })
  }

  async #send(command: object, signal: AbortSignal | undefined): Promise<object> {
    // Options make the client forget its cached middleware; its own client finds the signal in the input.
    const output = await (this.#ownsClient || signal === undefined
      ? this.#client.send(command as PutObjectCommand)
      : this.#client.send(command as PutObjectCommand, { abortSignal: signal }))
    this.#bucketSeen = true
    return output
  }

  #sendPart(command: { input: object }, signal: AbortSignal | undefined): Promise<object> {
    const withItsSignal = Object.assign(command, { input: withSignal(command.input, signal) })
    return this.#admitted({ doing: 'send a part', write: true, signal }, () => this.#send(withItsSignal, signal))
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    throwIfAborted(signal)
    if (this.#closed) throw new MoraineError('CLOSED', `the object store ${this.url} is closed`)
  }

  #mapped(error: unknown, call: Call): MoraineError {
    const mapped = s3Error(error, { ...call, bucket: this.#bucket, endpoint: this.#endpoint })
    if (!this.#closed || mapped.code !== 'UNAVAILABLE') return mapped
    return new MoraineError('CLOSED', `the object store ${this.url} was closed during the call`, {
      detail: mapped.detail,
      cause: mapped,
    })
  }
}

function rangeHeader(range: NonNullable<GetOptions['range']>): string {
  if ('suffix' in range) return `bytes=-${range.suffix}`
  return `bytes=${range.offset}-${range.offset + range.length - 1}`
}

async function bodyOf(response: LeanResponse, range: GetOptions['range']): Promise<ObjectBody> {
  const bytes = await readBody(response.body, response.contentLength)
  const served = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.contentRange ?? '')
  if (served === null) {
    // A whole body although a part was asked for: allowed by HTTP, so the part is taken here.
    const { start, end } = resolveRange(range, bytes.length)
    return { bytes: end - start === bytes.length ? bytes : bytes.slice(start, end), objectSizeBytes: bytes.length }
  }
  const [first, last, objectSizeBytes] = served.slice(1).map(Number) as [number, number, number]
  const { start, end } = resolveRange(range, objectSizeBytes)
  if (first !== start || last !== end - 1 || bytes.length !== end - start) {
    throw new Error(`the server sent the range ${response.contentRange} with ${bytes.length} bytes for ${start}-${end - 1}`)
  }
  return { bytes, objectSizeBytes }
}

function listedObject(object: _Object, encoded: boolean): ObjectInfo {
  const key = object.Key ?? ''
  return {
    key: encoded ? decodeURIComponent(key.replaceAll('+', ' ')) : key,
    sizeBytes: object.Size ?? 0,
    lastModifiedMs: object.LastModified?.getTime() ?? 0,
  }
}
