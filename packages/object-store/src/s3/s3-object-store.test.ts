// Invariant: whatever a server or the way to it does, a call of the S3 driver gives the right answer or the right error,
// sends one request per call, and leaves no socket and no upload behind.
import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { SeededRandom, systemClock } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createExactly } from '../create-exactly.ts'
import { RetryingObjectStore } from '../wrap/retrying-object-store.ts'
import { S3ObjectStore } from './s3-object-store.ts'
import type { S3ObjectStoreOptions } from './s3-options.ts'

interface Seen {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

type Answer = (request: Seen, response: ServerResponse) => void | Promise<void>

const MEBIBYTE = 1024 * 1024
const BODY = new Uint8Array([1, 2, 3, 4, 5])

const fails = (status: number, code: string, extra = ''): Answer => (_, response) => {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>because</Message>${extra}</Error>`)
}

const succeeds: Answer = ({ method, url }, response) => {
  response.writeHead(200, { etag: '"e"' })
  if (method !== 'POST') response.end()
  else if (url.searchParams.has('uploads')) response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>')
  else response.end('<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
}

function signatureOf(request: Seen): string {
  return /Signature=(.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

/** The signature that a server computes for a request, from the published algorithm (Signature Version 4). */
function signatureBy(secret: string, { method, url, headers }: Seen): string {
  const [, scope = '', names = ''] = /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+),/.exec(headers.authorization ?? '') ?? []
  const lines = names.split(';').map((name) => `${name}:${String(headers[name])}\n`)
  const query = [...url.searchParams].map(([name, value]) => `${name}=${value}`).join('&')
  const canonical = [method, url.pathname, query, lines.join(''), names, headers['x-amz-content-sha256']].join('\n')
  const hash = createHash('sha256').update(canonical).digest('hex')
  let key: string | Buffer = `AWS4${secret}`
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  return createHmac('sha256', key).update(`AWS4-HMAC-SHA256\n${String(headers['x-amz-date'])}\n${scope}\n${hash}`).digest('hex')
}

describe('S3ObjectStore', () => {
  let server: Server
  let sockets: Set<Socket>
  let seen: Seen[]
  let answer: Answer
  let store: S3ObjectStore
  const open = (options: Partial<S3ObjectStoreOptions> = {}): S3ObjectStore =>
    new S3ObjectStore({
      bucket: 'bucket',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
      ...options,
    })

  beforeEach(async () => {
    seen = []
    sockets = new Set()
    answer = succeeds
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method = '', url = '', headers } = request
        const one = { method, url: new URL(url, 'http://host'), headers, body: Buffer.concat(chunks) }
        seen.push(one)
        void answer(one, response)
      })
    })
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    store = open()
  })

  afterEach(async () => {
    await store.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  describe('errors', () => {
    it.each([
      [500, 'InternalError', 'UNAVAILABLE', true],
      [503, 'SlowDown', 'UNAVAILABLE', true],
      [504, 'GatewayTimeout', 'UNAVAILABLE', true],
      [429, 'TooManyRequests', 'UNAVAILABLE', true],
      [400, 'RequestTimeout', 'UNAVAILABLE', true],
      [409, 'ConditionalRequestConflict', 'UNAVAILABLE', true],
      [403, 'AccessDenied', 'INVALID', false],
      [403, 'InvalidAccessKeyId', 'INVALID', false],
      [403, 'SignatureDoesNotMatch', 'INVALID', false],
      [403, 'RequestTimeTooSkewed', 'INVALID', false],
      [400, 'ExpiredToken', 'UNAVAILABLE', false],
      [404, 'NoSuchBucket', 'INVALID', false],
      [400, 'InvalidArgument', 'INVALID', false],
      [501, 'NotImplemented', 'INVALID', false],
    ])('%i %s is %s, retryable %s, in one request', async (status, s3Code, code, retryable) => {
      answer = fails(status, s3Code)
      const detail = { retryable, status, s3Code }
      await expect(store.put('k', BODY)).rejects.toMatchObject({ code, detail: { ...detail, ambiguous: retryable } })
      await expect(store.put('k', BODY, { ifAbsent: true })).rejects.toMatchObject({ code, detail })
      // The first GET goes through the SDK, the second does not.
      for (let i = 0; i < 2; i++) {
        await expect(store.get('k')).rejects.toMatchObject({ code, detail: { ...detail, ambiguous: false } })
      }
      await expect(store.list('k')).rejects.toMatchObject({ code, detail })
      await expect(store.delete('k')).rejects.toMatchObject({ code, detail })
      await expect(store.deleteMany(['k'])).rejects.toMatchObject({ code, detail })
      expect(seen).toHaveLength(7)
    })

    it.each([
      [404, 'NoSuchBucket', /no bucket named bucket/],
      [403, 'SignatureDoesNotMatch', /AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY/],
      [403, 'RequestTimeTooSkewed', /clock/],
      [403, 'AccessDenied', /access is denied/],
    ])('%i %s says what to do', async (status, s3Code, message) => {
      answer = fails(status, s3Code)
      await expect(store.get('k')).rejects.toThrow(message)
      await expect(store.get('k')).rejects.toThrow(message)
    })

    it('a bucket in another region is INVALID', async () => {
      answer = fails(301, 'PermanentRedirect', '<Region>eu-west-1</Region>')
      await expect(store.list('')).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('region') })
    })

    it('an answer that is no XML is judged by its status', async () => {
      answer = (_, response) => void response.writeHead(503, { 'content-type': 'text/html' }).end('<html>busy')
      for (let i = 0; i < 2; i++) {
        await expect(store.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: true, status: 503 } })
      }
    })

    it('404 on the key is undefined; 412 on a create is `exists`', async () => {
      answer = fails(404, 'NoSuchKey')
      expect(await store.get('k')).toBeUndefined()
      expect(await store.get('k')).toBeUndefined()
      await store.delete('k')
      answer = (request, response) => void response.writeHead(request.url.pathname === '/bucket/k' ? 404 : 200).end()
      expect(await store.head('k')).toBeUndefined()
      answer = fails(412, 'PreconditionFailed')
      expect(await store.put('k', BODY, { ifAbsent: true })).toBe('exists')
      expect(seen.at(-1)?.headers['if-none-match']).toBe('*')
      await expect(store.put('k', BODY)).rejects.toMatchObject({ code: 'INVALID' })
      expect(seen.at(-1)?.headers['if-none-match']).toBeUndefined()
    })

    it('head does not take a missing bucket for a missing key', async () => {
      answer = (_, response) => void response.writeHead(404).end()
      await expect(store.head('k')).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('no bucket named bucket') })
    })

    it('a server that is not there is UNAVAILABLE and certainly did nothing', async () => {
      await new Promise((resolve) => server.close(resolve))
      await expect(store.put('k', BODY)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('check the endpoint'),
        detail: { retryable: true, ambiguous: false },
      })
      server.listen(0)
    })

    it('credentials that cannot be had are INVALID', async () => {
      const poor = open({
        credentials: () => Promise.reject(Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' })),
      })
      await expect(poor.list('')).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('AWS_ACCESS_KEY_ID') })
      expect(seen).toEqual([])
      await poor.close()
    })

    it('objects that a deleteMany could not delete make it reject', async () => {
      answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/xml' })
        response.end('<DeleteResult><Error><Key>b</Key><Code>InternalError</Code><Message>m</Message></Error></DeleteResult>')
      }
      await expect(store.deleteMany(['a', 'b'])).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('b: InternalError') })
    })
  })

  describe('connections', () => {
    it('pitfall 15: a body cut after the headers is UNAVAILABLE, and a retry covers it', async () => {
      let cuts = 2
      answer = (_, response) => {
        response.writeHead(200, { 'content-length': 1000 })
        if (cuts-- > 0) response.write(Buffer.alloc(400), () => response.destroy())
        else response.end(Buffer.alloc(1000, 7))
      }
      await expect(store.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: true } })
      const retrying = new RetryingObjectStore(store, { clock: systemClock, random: new SeededRandom(1), baseDelayMs: 1 })
      expect((await retrying.get('k'))?.bytes).toEqual(new Uint8Array(1000).fill(7))
      expect(seen).toHaveLength(3)
    })

    it('a range that the server answers wrongly is UNAVAILABLE, one that it ignores is cut here', async () => {
      answer = (_, response) => void response.writeHead(206, { 'content-range': 'bytes 0-4/100', 'content-length': 5 }).end('01234')
      await expect(store.get('k', { range: { offset: 5, length: 5 } })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      answer = (_, response) => void response.writeHead(200, { 'content-length': 10 }).end('0123456789')
      const body = await store.get('k', { range: { offset: 8, length: 5 } })
      expect(body).toEqual({ bytes: new Uint8Array(Buffer.from('89')), objectSizeBytes: 10 })
    })

    it('pitfall 6: a create whose reply was lost is found to be ours', async () => {
      const objects = new Map<string, Buffer>()
      answer = (request, response) => {
        const { pathname } = request.url
        if (request.method === 'GET') {
          response.end(objects.get(pathname))
        } else if (objects.has(pathname)) {
          void fails(412, 'PreconditionFailed')(request, response)
        } else {
          objects.set(pathname, request.body)
          response.destroy()
        }
      }
      const options = { clock: systemClock, random: new SeededRandom(1) }
      await expect(store.put('direct', BODY, { ifAbsent: true })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        detail: { retryable: true, ambiguous: true },
      })
      expect(await createExactly(store, 'k', BODY, options)).toBe('created')
      expect(await createExactly(store, 'k', new Uint8Array([9]), options)).toBe('exists')
    })

    it('a silent server is given up, and its socket closed', async () => {
      answer = () => {}
      const hasty = open({ requestTimeoutMs: 200 })
      for (let i = 0; i < 2; i++) {
        await expect(hasty.get('k')).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: true } })
        await expect.poll(() => sockets.size).toBe(0)
      }
      await hasty.close()
    })

    it('a signal ends a call that the server keeps waiting, before and after the headers', async () => {
      for (const headers of [false, true, false, true]) {
        const controller = new AbortController()
        answer = (_, response) => {
          if (headers) response.writeHead(200, { 'content-length': 1000 }).write('x')
          setTimeout(() => controller.abort(), 20)
        }
        await expect(store.get('k', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
        await expect.poll(() => sockets.size).toBe(0)
      }
    })

    it('a call aborted in the queue is never sent', async () => {
      const narrow = open({ maxConcurrency: 1 })
      const held: ServerResponse[] = []
      answer = (_, response) => void held.push(response)
      const first = narrow.get('first')
      await expect.poll(() => held.length).toBe(1)
      const controller = new AbortController()
      const second = narrow.get('second', { signal: controller.signal })
      controller.abort()
      await expect(second).rejects.toMatchObject({ code: 'ABORTED' })
      answer = (_, response) => void response.end('b')
      held[0]?.end('a')
      await first
      await narrow.get('third')
      expect(seen.map(({ url }) => url.pathname)).toEqual(['/bucket/first', '/bucket/third'])
      await narrow.close()
    })

    it('pitfall 24: connections are reused, never more than allowed, and closed with the store', async () => {
      const some = open({ maxConcurrency: 3 })
      let most = 0
      let connections = 0
      server.on('connection', () => connections++)
      answer = (request, response) => {
        most = Math.max(most, sockets.size)
        void (request.method === 'GET' ? response.end('body') : succeeds(request, response))
      }
      const keys = Array.from({ length: 60 }, (_, i) => `k${i}`)
      await Promise.all(keys.map((key) => some.get(key)))
      for (let i = 0; i < 3; i++) await some.put('large', new Uint8Array(3 * MEBIBYTE))
      expect(most).toBe(3)
      expect(connections).toBe(3)
      await some.close()
      await expect.poll(() => sockets.size).toBe(0)
    })

    it('closing ends calls in flight with CLOSED', async () => {
      answer = () => {}
      const pending = store.get('k')
      await expect.poll(() => seen.length).toBe(1)
      await store.close()
      await expect(pending).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(store.list('')).rejects.toMatchObject({ code: 'CLOSED' })
    })
  })

  it('after the first GET others are signed without the SDK, for the same place, key by key', async () => {
    let expired = false
    const renewed = open({
      credentials: async () => ({
        accessKeyId: expired ? 'new' : 'old',
        secretAccessKey: expired ? 'new secret' : 'old secret',
        sessionToken: 'token',
        expiration: new Date(Date.now() + (expired ? 3_600_000 : 1)),
      }),
    })
    answer = (_, response) => void response.end('body')
    await renewed.get('a b/c+(1)')
    await renewed.get('a b/c+(1)')
    expired = true
    await renewed.get('a b/c+(1)', { range: { offset: 2, length: 3 } })
    const [sdk, before, lean] = seen as [Seen, Seen, Seen]
    expect(signatureOf(sdk)).toBe(signatureBy('old secret', sdk))
    expect(signatureOf(before)).toMatch(/^[0-9a-f]{64}$/)
    expect(signatureOf(lean)).toBe(signatureBy('new secret', lean))
    expect(lean.url.search).toBe('')
    expect([lean.url.pathname, lean.headers.host, lean.headers.range]).toEqual([sdk.url.pathname, sdk.headers.host, 'bytes=2-4'])
    expect(lean.headers['x-amz-security-token']).toBe('token')
    expect(lean.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=new\/\d{8}\/us-east-1\/s3\/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
    )
    await renewed.close()
  })

  it('pitfall 25: no checksum headers, no chunked framing, no Expect', async () => {
    await store.put('small', BODY)
    await store.put('pieces', [BODY, BODY])
    await store.put('conditional', BODY, { ifAbsent: true })
    await store.put('large', new Uint8Array(17 * MEBIBYTE))
    await store.put('large', [new Uint8Array(10 * MEBIBYTE), new Uint8Array(7 * MEBIBYTE)])
    const puts = seen.filter(({ method }) => method === 'PUT')
    expect(puts).toHaveLength(3 + 3 + 3)
    for (const { headers, body } of seen) {
      expect(Object.keys(headers).filter((name) => /^x-amz-(checksum|sdk-checksum|trailer|decoded)/.test(name))).toEqual([])
      expect(headers['expect']).toBeUndefined()
      expect(headers['transfer-encoding']).toBeUndefined()
      expect(headers['content-encoding']).toBeUndefined()
      expect(Number(headers['content-length'] ?? 0)).toBe(body.length)
    }
    expect(puts[0]?.body).toEqual(Buffer.from(BODY))
  })

  describe('multipart uploads', () => {
    const upload = async (failing: (request: Seen) => Answer | undefined, signal?: AbortSignal): Promise<unknown> => {
      answer = (request, response) => {
        return (failing(request) ?? succeeds)(request, response)
      }
      return await store.put('k', new Uint8Array(48 * MEBIBYTE), { signal }).catch((error: unknown) => error)
    }
    const aborts = (): number => seen.filter(({ method, url }) => method === 'DELETE' && url.searchParams.get('uploadId') === 'u').length

    it('pitfall 18: a failed part aborts the upload before the put rejects, and no further parts are sent', async () => {
      const error = await upload(({ url }) => {
        const part = url.searchParams.get('partNumber')
        if (part === '2') return fails(503, 'SlowDown')
        // The answers of the other parts wait, so that the failure is the first thing that the client hears.
        if (part === null) return undefined
        return async (request, response) => {
          await expect.poll(() => seen.filter(({ method }) => method === 'PUT').length).toBe(4)
          await new Promise((resolve) => setTimeout(resolve, 50))
          await succeeds(request, response)
        }
      })
      expect(error).toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: true, status: 503 } })
      expect(aborts()).toBe(1)
      expect(seen.filter(({ method }) => method === 'PUT')).toHaveLength(4)
      expect(seen.some(({ method, url }) => method === 'POST' && url.searchParams.has('uploadId'))).toBe(false)
    })

    it('pitfall 18: an aborted put aborts the upload before it rejects', async () => {
      const controller = new AbortController()
      const error = await upload(({ url }) => {
        if (url.searchParams.get('partNumber') === '3') controller.abort()
        return undefined
      }, controller.signal)
      expect(error).toMatchObject({ code: 'ABORTED' })
      expect(aborts()).toBe(1)
    })

    it('pitfall 8: a failed completion is UNAVAILABLE and ambiguous, and the upload is aborted, a few times if need be', async () => {
      const error = await upload(({ method, url }) => {
        if (method === 'POST' && url.searchParams.has('uploadId')) return fails(409, 'ConditionalRequestConflict')
        return method === 'DELETE' ? fails(500, 'InternalError') : undefined
      })
      expect(error).toMatchObject({ code: 'UNAVAILABLE', detail: { ambiguous: true, status: 409 } })
      expect(aborts()).toBe(3)
    })

    it('an error inside a completion that began with 200 is seen', async () => {
      const error = await upload(({ method, url }) =>
        method === 'POST' && url.searchParams.has('uploadId') ? fails(200, 'InternalError') : undefined,
      )
      expect(error).toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: true } })
    })
  })

  describe('listings', () => {
    const page = (keys: string[], next?: string): string =>
      `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${next !== undefined}</IsTruncated>` +
      `${next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`}` +
      `${keys.map((key) => `<Contents><Key>${key}</Key><Size>3</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`).join('')}` +
      '</ListBucketResult>'

    it('pitfall 12: a failure on page 3 is retried there, not from the first page', async () => {
      const pages: Record<string, string> = { '': page(['a', 'b'], 't1'), t1: page(['c'], 't2'), t2: page(['d'], 't3'), t3: page(['e']) }
      let failures = 2
      answer = (request, response) => {
        const token = request.url.searchParams.get('continuation-token') ?? ''
        if (token === 't2' && failures-- > 0) void fails(503, 'SlowDown')(request, response)
        else response.end(pages[token])
      }
      const retrying = new RetryingObjectStore(store, { clock: systemClock, random: new SeededRandom(1), baseDelayMs: 1 })
      const keys: string[] = []
      let token: string | undefined
      do {
        const { objects, nextToken } = await retrying.list('', { token })
        keys.push(...objects.map(({ key }) => key))
        token = nextToken
      } while (token !== undefined)
      expect(keys).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(seen.map(({ url }) => url.searchParams.get('continuation-token') ?? '')).toEqual(['', 't1', 't2', 't2', 't2', 't3'])
    })

    it("decodes keys and tells the store's own time", async () => {
      answer = (_, response) => {
        response.writeHead(200, { date: 'Fri, 02 Jan 2026 03:04:06 GMT' })
        response.end(page(['a+b', 'c%2Bd', 'e%252Ff', '%D1%8F']))
      }
      const { objects, storeTimeMs } = await store.list('')
      expect(objects.map(({ key }) => key)).toEqual(['a b', 'c+d', 'e%2Ff', 'я'])
      expect(objects[0]).toEqual({ key: 'a b', sizeBytes: 3, lastModifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5) })
      expect(storeTimeMs).toBe(Date.UTC(2026, 0, 2, 3, 4, 6))
    })

    it('a directory bucket lists whole folders in no order; what is too much is dropped', async () => {
      const express = open({ bucket: 'name--use1-az4--x-s3' })
      expect([express.traits.orderedList, store.traits.orderedList]).toEqual([false, true])
      answer = (request, response) => {
        if (!request.url.searchParams.has('session')) return void response.end(page(['a/c', 'a/b', 'a/d', 'a/bb']))
        const session = '<AccessKeyId>i</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>'
        const expiration = '<Expiration>2199-01-01T00:00:00Z</Expiration>'
        response.end(`<CreateSessionResult><Credentials>${session}${expiration}</Credentials></CreateSessionResult>`)
      }
      const listed = await express.list('a/b', { startAfter: 'a/b' })
      expect(listed.objects.map(({ key }) => key)).toEqual(['a/bb'])
      expect(seen.at(-1)?.url.searchParams.get('prefix')).toBe('a/')
      expect(seen.at(-1)?.url.searchParams.has('start-after')).toBe(false)
      await express.close()
    })
  })

  it('many requests that share a signal print no warning', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      answer = (_, response) => void setTimeout(() => response.end('text'), 20)
      const { signal } = new AbortController()
      // The first GET goes through the SDK, the others do not.
      await store.get('first', { signal })
      const keys = Array.from({ length: 16 }, (_, i) => `key-${i}`)
      await Promise.all(keys.flatMap((key) => [store.get(key, { signal }), store.put(key, BODY, { signal })]))
      await systemClock.yieldNow()
    } finally {
      process.off('warning', onWarning)
    }
    expect(warnings).toEqual([])
  })

  it.each([
    [{ bucket: '' }, /bucket/],
    [{ bucket: 'a/b' }, /bucket/],
    [{ endpoint: 'localhost:9000' }, /endpoint/],
    [{ maxConcurrency: 0 }, /maxConcurrency/],
    [{ partSizeBytes: 1024 }, /partSizeBytes/],
    [{ multipartThresholdBytes: 1.5 }, /multipartThresholdBytes/],
    [{ requestTimeoutMs: -1 }, /requestTimeoutMs/],
  ])('options that cannot work are INVALID: %j', (options, message) => {
    expect(() => open(options)).toThrow(expect.objectContaining({ code: 'INVALID', message: expect.stringMatching(message) }))
  })
})
