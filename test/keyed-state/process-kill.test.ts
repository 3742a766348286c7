// Invariant: a job whose process is killed (-9) at any moment goes on from a completed checkpoint and ends with the result of an
// undisturbed one; meanwhile another process reads only states that were checkpoints.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { SeededRandom } from '@moraine/base'
import { int64, openKeyedState, openKeyedStateReader, utf8, valueState } from '@moraine/keyed-state'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
let folder: string
beforeAll(async () => {
  await promisify(execFile)(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, 'packages/keyed-state')])
  folder = mkdtempSync(join(tmpdir(), 'moraine-keyed-kill-'))
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const RECORDS = 3_000

/** Record n is for key n % 10; both states must always have the same total, that of the offset. */
const PROGRAM = `
import { int64, openKeyedState, utf8, valueState } from '@moraine/keyed-state'
const job = await openKeyedState(process.argv[1], { keyCodec: utf8, cacheEntries: 4, engine: { workerThreads: 0, memtableSizeBytes: 262144 } })
const count = job.state(valueState('count', { codec: int64 }))
const total = job.state(valueState('total', { codec: int64 }))
for (let n = job.restored?.metadata ?? 0; n < ${RECORDS}; n++) {
  if (n % 50 === 0) {
    await job.checkpoint({ metadata: n })
    process.stdout.write(n + '\\n')
  }
  await job.process('key-' + (n % 10), () => count.of('key-' + (n % 10)).update((value) => (value ?? 0n) + 1n))
  await total.of('all').update((value) => (value ?? 0n) + 1n)
}
await job.checkpoint({ metadata: ${RECORDS} })
await job.close()
`

test('killed at random moments, with a reader beside it', async () => {
  const random = new SeededRandom(11)
  const location = pathToFileURL(join(folder, 'job')).href
  let finished = false
  for (let life = 0; !finished; life++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, location], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    const lives = life < 4 ? 1 + random.below(12) : Number.POSITIVE_INFINITY
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      expect(Number(line) % 50).toBe(0)
      if (++lines % 4 === 1) await expectWhole(location)
      if (lines === lives) setTimeout(() => child.kill('SIGKILL'), random.below(10))
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    finished = child.exitCode === 0
    expect(child.exitCode ?? 'killed').toBe(finished ? 0 : 'killed')
  }
  const job = await openKeyedState(location, { keyCodec: utf8 })
  expect(job.restored?.metadata).toBe(RECORDS)
  for (let key = 0; key < 10; key++) {
    expect(await job.state(valueState('count', { codec: int64 })).of(`key-${key}`).get()).toBe(BigInt(RECORDS / 10))
  }
  await job.close()
}, 120_000)

async function expectWhole(location: string): Promise<void> {
  const reader = await openKeyedStateReader<string>(location)
  const offset = BigInt(reader.checkpoint.metadata as number)
  if (offset > 0n) {
    expect(await reader.state('total').of('all').get()).toBe(offset)
    let sum = 0n
    for (let key = 0; key < 10; key++) sum += ((await reader.state('count').of(`key-${key}`).get()) as bigint | undefined) ?? 0n
    expect(sum).toBe(offset)
  }
  await reader.close()
}
