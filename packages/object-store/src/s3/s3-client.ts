import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { allowManyListeners } from './allow-many-listeners.ts'
import { LeanGet, type SignedRequest } from './lean-get.ts'
import { DEFAULT_MAX_CONCURRENCY, DEFAULT_REQUEST_TIMEOUT_MS, type S3ObjectStoreOptions } from './s3-options.ts'

const CONNECT_TIMEOUT_MS = 5_000

/** Where a command's input carries its AbortSignal to the request handler. */
const SIGNAL = Symbol('moraine.signal')

/** Where a command's output carries the server's Date header, milliseconds since the Unix epoch. */
const SERVER_TIME = Symbol('moraine.serverTime')

/**
 * A client tuned for many small requests. Its defaults cost much: with its own agents every body over 2 MiB opens a
 * fresh connection (Expect: 100-continue), its default checksums break other servers, and it resolves its middleware
 * anew for every call. It never retries: whether a request may be repeated is decided above the drivers.
 */
export function makeS3Client(options: S3ObjectStoreOptions): { client: S3Client; leanGet: LeanGet } {
  const sockets = options.maxConcurrency ?? DEFAULT_MAX_CONCURRENCY
  const agentOptions = { keepAlive: true, maxSockets: sockets, maxFreeSockets: sockets }
  const timeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
  const agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) }
  const handler = new SignalHandler({
    httpAgent: agents.http,
    httpsAgent: agents.https,
    connectionTimeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    socketTimeout: timeoutMs,
  })
  const { region, credentials, endpoint } = options
  const client = new S3Client({
    maxAttempts: 1,
    cacheMiddleware: true,
    expectContinueHeader: false,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    ...(region !== undefined && { region }),
    ...(region === undefined && endpoint !== undefined && { region: regionOrDefault() }),
    requestHandler: handler,
  })
  const leanGet = new LeanGet(client, agents, timeoutMs)
  // The cached middleware cannot take per-call options, so the signal travels with the input to the last step before
  // the handler, where the signed request is known.
  client.middlewareStack.add(
    (next, context) => (args) => {
      const { [SIGNAL]: signal, Key: key } = args.input as { [SIGNAL]?: AbortSignal; Key?: string }
      const request = args.request as SignedRequest
      if (signal !== undefined) handler.signals.set(request, signal)
      if (context.commandName === 'GetObjectCommand' && key !== undefined) leanGet.learn(request, key)
      return next(args)
    },
    { step: 'deserialize', name: 'moraineSignal', priority: 'low', override: true },
  )
  rememberServerTime(client)
  return { client, leanGet }
}

/** An HTTP handler that learns the signal of a request beside it, not from per-call options. */
class SignalHandler extends NodeHttpHandler {
  readonly signals = new WeakMap<object, AbortSignal>()

  override handle(...[request, options]: Parameters<NodeHttpHandler['handle']>): ReturnType<NodeHttpHandler['handle']> {
    const abortSignal = this.signals.get(request)
    if (abortSignal !== undefined) allowManyListeners(abortSignal)
    return super.handle(request, abortSignal === undefined ? options : { ...options, abortSignal })
  }
}

/** Makes the client note the Date header of each response in its output; see {@link serverTimeOf}. */
export function rememberServerTime(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { headers } = result.response as { headers?: Record<string, string> }
      const timeMs = Date.parse(headers?.['date'] ?? '')
      if (!Number.isNaN(timeMs)) Object.assign(result.output as object, { [SERVER_TIME]: timeMs })
      return result
    },
    { step: 'deserialize', name: 'moraineServerTime', priority: 'high', override: true },
  )
}

/** `input` with the signal that ends its request, for clients of {@link makeS3Client}. */
export function withSignal<Input extends object>(input: Input, signal: AbortSignal | undefined): Input {
  return signal === undefined ? input : { ...input, [SIGNAL]: signal }
}

/** The server's own clock when it sent this output, milliseconds since the Unix epoch; undefined when it did not say. */
export function serverTimeOf(output: object): number | undefined {
  return (output as { [SERVER_TIME]?: number })[SERVER_TIME]
}

/** What the SDK's chain says, or `us-east-1`, which servers other than AWS take, when it is silent. */
function regionOrDefault(): () => Promise<string> {
  let region: Promise<string> | undefined
  return () => (region ??= configuredRegion())
}

async function configuredRegion(): Promise<string> {
  const probe = new S3Client({})
  try {
    return await probe.config.region()
  } catch {
    return 'us-east-1'
  } finally {
    probe.destroy()
  }
}
