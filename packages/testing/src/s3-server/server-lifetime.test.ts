// Invariant: a server of a test run never outlives the run, whatever ends it, and nothing but the processes recorded for a
// run is ever stopped. The server here is a sleeping shell: what is under test are the scripts and the keeper.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { runUntilClosed } from './start-s3-server.ts'

const run = promisify(execFile)
const scripts = fileURLToPath(new URL('../../../../minio/', import.meta.url))
let folder: string
let startScript: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-lifetime-'))
  startScript = join(folder, 'start.sh')
  // The daemon's command line names the run folder, as MinIO's and Ceph's do.
  await writeFile(
    startScript,
    `#!/usr/bin/env bash\nset -e\n. '${scripts}ready.sh'\nlaunch "$1" fake bash -c 'while :; do sleep 1; done' "$1"\n`,
  )
  await chmod(startScript, 0o755)
})

afterEach(async () => {
  await run(join(scripts, 'stop.sh'), ['--run', folder, '--remove'])
})

const serverPid = async (): Promise<number> => Number(await readFile(join(folder, 'fake.pid'), 'utf8'))

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const gone = (path: string): Promise<boolean> => stat(path).then(() => false, () => true)

describe('a running server', () => {
  test('lives until it is closed, then process and data are gone', async () => {
    const close = await runUntilClosed(folder, [startScript, folder])
    const pid = await serverPid()
    expect(alive(pid)).toBe(true)
    await close()
    expect(await gone(folder)).toBe(true)
    // Its process table entry stays until init has collected the orphan.
    await vi.waitUntil(() => !alive(pid), { timeout: 20_000 })
    await close()
  })

  test.each(['SIGKILL', 'SIGINT'] as const)('ends when its owner ends by %s', async (signal) => {
    const owner = spawnOwner()
    const [line] = (await once(owner.stdout!, 'data')) as [Buffer]
    expect(String(line)).toContain('READY')
    const pid = await serverPid()
    expect(alive(pid)).toBe(true)
    owner.kill(signal)
    await vi.waitUntil(async () => !alive(pid) && (await gone(folder)), { timeout: 20_000 })
  })

  test('that fails to start reports its last words and leaves nothing', async () => {
    await writeFile(startScript, '#!/usr/bin/env bash\necho "no luck today" >&2\nexit 1\n')
    await expect(runUntilClosed(folder, [startScript, folder])).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'no luck today',
    })
    expect(await gone(folder)).toBe(true)
  })
})

test('stop.sh leaves a process alone that does not belong to the run folder', async () => {
  // The id of a server long gone may belong to somebody else by now: here to this stranger.
  const stranger = spawn('sleep', ['60'])
  await once(stranger, 'spawn')
  try {
    await writeFile(join(folder, 'fake.pid'), `${stranger.pid}\n`)
    const { stderr } = await run(join(scripts, 'stop.sh'), ['--run', folder])
    expect(stderr).toContain('stopped 0 server')
    expect(stranger.exitCode).toBeNull()
    expect(alive(stranger.pid!)).toBe(true)
    expect(await gone(join(folder, 'fake.pid'))).toBe(true)
  } finally {
    stranger.kill()
    await once(stranger, 'exit')
    await rm(folder, { recursive: true, force: true })
  }
})

/** A process that owns a keeper as a test run does: it holds the write end of the keeper's stdin and passes on READY. */
function spawnOwner(): ChildProcess {
  const program = `
    const { spawn } = require('node:child_process')
    const [keeper, ...args] = process.argv.slice(1)
    spawn(keeper, args, { stdio: ['pipe', 'inherit', 'inherit'], detached: true })
    setInterval(() => {}, 1000)`
  return spawn(
    process.execPath,
    ['-e', program, join(scripts, 'run-until-eof.sh'), folder, startScript, folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
}
