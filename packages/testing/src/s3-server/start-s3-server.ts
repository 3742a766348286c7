import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MoraineError } from '@moraine/base'
import { freePorts } from './free-ports.ts'

/** A local S3 server that belongs to this process. */
export interface RunningS3Server {
  readonly kind: 'minio' | 'rgw'
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Stops the server and deletes its data. May be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const SCRIPTS = fileURLToPath(new URL('../../../../minio/', import.meta.url))
const START_SCRIPTS = { minio: join(SCRIPTS, 'start.sh'), rgw: join(SCRIPTS, 'rgw/start.sh') }
const ACCESS_KEY_ID = 'moraine'
const SECRET_ACCESS_KEY = 'moraine-secret'

/**
 * Starts a MinIO or a Ceph RGW on a free port of 127.0.0.1 with an empty temporary data folder; the first time on a
 * machine this may build or download it, with progress on stderr. Rejects with UNAVAILABLE and the reason when there is
 * no such server here.
 */
export async function startS3Server(kind: 'minio' | 'rgw'): Promise<RunningS3Server> {
  const run = await mkdtemp(join(tmpdir(), `moraine-${kind}-`))
  try {
    const port = await freePorts(kind === 'rgw' ? 2 : 1)
    const start = [START_SCRIPTS[kind], '--run', run, '--port', String(port), '--quiet']
    const close = await runUntilClosed(run, start)
    return {
      kind,
      endpoint: `http://127.0.0.1:${port}`,
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: SECRET_ACCESS_KEY,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await rm(run, { recursive: true, force: true })
    throw error
  }
}

/**
 * Runs a start script whose daemons record their process ids in `run`, and resolves to what stops them and deletes `run`.
 * A keeper process holds the read end of a pipe from this process and does the stopping when it closes: on `close()`, and
 * just as well when this process is interrupted or killed.
 */
export async function runUntilClosed(run: string, start: readonly string[]): Promise<() => Promise<void>> {
  // Detached: an interrupt at the terminal goes to the whole foreground group and must not reach keeper or server, which
  // end in an orderly way once this process has.
  const keeper = spawn(join(SCRIPTS, 'run-until-eof.sh'), [run, ...start], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: {
      ...process.env,
      MINIO_ROOT_USER: ACCESS_KEY_ID,
      MINIO_ROOT_PASSWORD: SECRET_ACCESS_KEY,
      RGW_ACCESS_KEY: ACCESS_KEY_ID,
      RGW_SECRET_KEY: SECRET_ACCESS_KEY,
    },
  })
  await once(keeper, 'spawn').catch((cause: unknown) => {
    throw new MoraineError('UNAVAILABLE', `the start scripts need bash (${String(cause)})`, { cause })
  })
  const ended = once(keeper, 'close')
  const complaints: string[] = []
  keeper.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints.push(text)
    process.stderr.write(text)
  })
  if (!(await saysReady(keeper))) {
    await ended
    const reason = complaints.join('').trim().split('\n').at(-1) ?? ''
    throw new MoraineError('UNAVAILABLE', reason || 'the start script failed without a word')
  }
  // A server whose owner forgot it must not keep this process alive: let it end, and the keeper acts.
  keeper.unref()
  for (const pipe of [keeper.stdin, keeper.stderr]) if (pipe instanceof Socket) pipe.unref()
  return async () => {
    keeper.ref()
    keeper.stdin.end()
    await ended
  }
}

/** True once the keeper has printed READY, false when it has ended without. */
async function saysReady(keeper: ChildProcess): Promise<boolean> {
  let printed = ''
  for await (const chunk of keeper.stdout!) {
    printed += String(chunk)
    if (printed.includes('READY')) return true
  }
  return false
}
