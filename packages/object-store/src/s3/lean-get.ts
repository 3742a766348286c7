import { createHash, createHmac } from 'node:crypto'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import type { S3Client } from '@aws-sdk/client-s3'
import { systemClock } from '@moraine/base'
import { allowManyListeners } from './allow-many-listeners.ts'

/** A response of which nothing was read yet. */
export interface LeanResponse {
  readonly body: Readable
  readonly contentLength: number | undefined
  readonly contentRange: string | undefined
}

/** A GET request as the SDK signed and sent it. */
export interface SignedRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** Where the bucket is and how its requests are signed: what all GET requests of one bucket have in common. */
interface Target {
  readonly connection: Pick<RequestOptions, 'protocol' | 'hostname' | 'port'>
  readonly host: string
  /** What stands before the key. */
  readonly basePath: string
  /** Region and service of the signature. */
  readonly region: string
  readonly service: string
}

const EMPTY_SHA256 = createHash('sha256').digest('hex')
const MAX_ERROR_BYTES = 65_536
/** After these the SDK is asked again: it knows other regions and corrects the clock. */
const UNLEARNING = new Set([301, 307, 400, 401, 403])

/**
 * GET of an object with a fraction of the SDK's work: the request is signed here (AWS Signature Version 4, with the
 * day's key kept) and sent on the SDK's own connections. Where to send it and for which region is learned from the
 * first GET that the SDK signs, so that endpoints, path style and regions have one authority; credentials come from
 * the SDK's chain each time, which renews them.
 */
export class LeanGet {
  readonly #client: S3Client
  readonly #timeoutMs: number
  readonly #agents: { readonly http: RequestOptions['agent']; readonly https: RequestOptions['agent'] }
  #target: Target | undefined
  #dayKey: { readonly id: string; readonly secret: string; readonly key: Buffer } | undefined

  constructor(client: S3Client, agents: { http: RequestOptions['agent']; https: RequestOptions['agent'] }, timeoutMs: number) {
    this.#client = client
    this.#agents = agents
    this.#timeoutMs = timeoutMs
  }

  /** False until a GET of the SDK was seen, and for ways of signing that are left to the SDK. */
  get ready(): boolean {
    return this.#target !== undefined
  }

  /** Learns from a GET of `key` that the SDK has signed. */
  learn(signed: SignedRequest, key: string): void {
    const encodedKey = encodePath(key)
    const scope = /^AWS4-HMAC-SHA256 Credential=[^,]+\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request,/.exec(signed.headers['authorization'] ?? '')
    if (scope === null || !signed.path.endsWith(encodedKey) || 'x-amz-s3session-token' in signed.headers) return
    this.#target = {
      connection: { protocol: signed.protocol, hostname: signed.hostname, port: signed.port },
      host: signed.headers['host'] ?? signed.hostname,
      basePath: signed.path.slice(0, signed.path.length - encodedKey.length),
      region: scope[1] as string,
      service: scope[2] as string,
    }
  }

  /** Rejects with an error of the SDK's shape (`Code`, `$metadata.httpStatusCode`) when the server refuses. */
  async get(key: string, range: string | undefined, signal: AbortSignal | undefined): Promise<LeanResponse> {
    const target = this.#target as Target
    const path = target.basePath + encodePath(key)
    const headers = await this.#signedHeaders(target, path, range)
    const response = await this.#send(target, path, headers, signal)
    const { statusCode = 0 } = response
    if (statusCode === 200 || statusCode === 206) {
      const length = response.headers['content-length']
      return {
        body: response,
        contentLength: length === undefined ? undefined : Number(length),
        contentRange: response.headers['content-range'],
      }
    }
    if (UNLEARNING.has(statusCode)) this.#target = undefined
    throw await refusal(response, statusCode)
  }

  #send(target: Target, path: string, headers: Record<string, string>, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const secure = target.connection.protocol === 'https:'
    if (signal !== undefined) allowManyListeners(signal)
    return new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)({
        ...target.connection,
        path,
        headers,
        agent: secure ? this.#agents.https : this.#agents.http,
        timeout: this.#timeoutMs,
        ...(signal !== undefined && { signal }),
      })
      request.on('response', resolve)
      request.on('error', reject)
      request.on('timeout', () => request.destroy(new Error(`the server was silent for ${this.#timeoutMs} ms`)))
      request.end()
    })
  }

  async #signedHeaders(target: Target, path: string, range: string | undefined): Promise<Record<string, string>> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.#client.config.credentials()
    const now = new Date(systemClock.nowMs() + this.#client.config.systemClockOffset)
    const time = now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
    const day = time.slice(0, 8)
    // In the order of their names, as the signature wants them.
    const headers: Record<string, string> = {
      host: target.host,
      ...(range !== undefined && { range }),
      'x-amz-content-sha256': EMPTY_SHA256,
      'x-amz-date': time,
      ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    }
    const names = Object.keys(headers).join(';')
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
    const canonical = `GET\n${path}\n\n${lines.join('')}\n${names}\n${EMPTY_SHA256}`
    const scope = `${day}/${target.region}/${target.service}/aws4_request`
    const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
    const signature = createHmac('sha256', this.#signingKey(scope, secretAccessKey)).update(toSign).digest('hex')
    headers['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
    return headers
  }

  /** The key of one day, region and service; four hash rounds, done once a day. */
  #signingKey(scope: string, secret: string): Buffer {
    if (this.#dayKey?.id !== scope || this.#dayKey.secret !== secret) {
      const rounds = scope.split('/')
      const key = rounds.reduce<Buffer>((last, part) => createHmac('sha256', last).update(part).digest(), Buffer.from(`AWS4${secret}`))
      this.#dayKey = { id: scope, secret, key }
    }
    return this.#dayKey.key
  }
}

/** Percent-encoding as the signature wants it: all but unreserved characters, and slashes stay. */
function encodePath(key: string): string {
  const encoded = encodeURIComponent(key).replaceAll('%2F', '/')
  return encoded.replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

async function refusal(response: IncomingMessage, statusCode: number): Promise<Error> {
  let text = ''
  response.setEncoding('utf8')
  // Read to its end, so that the connection can serve again, but not without bound.
  for await (const piece of response) {
    text += piece as string
    if (text.length > MAX_ERROR_BYTES) break
  }
  const element = (name: string): string | undefined => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]
  return Object.assign(new Error(element('Message') ?? `the server answered ${statusCode}`), {
    Code: element('Code') ?? response.statusMessage ?? 'Unknown',
    Region: element('Region'),
    $metadata: { httpStatusCode: statusCode },
  })
}
