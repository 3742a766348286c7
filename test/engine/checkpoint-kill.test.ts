// Invariant: a process that is killed (-9) at any moment of putting, checkpointing and restoring leaves a database that is
// where the last acknowledged step, or the one under way, left it, with every acknowledged checkpoint.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { SeededRandom } from '@moraine/base'
import { open } from 'moraine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildCli } from '../cli/run-script.ts'
import { textOf } from './subject.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
let folder: string
beforeAll(async () => {
  await buildCli()
  folder = mkdtempSync(join(tmpdir(), 'moraine-kill-'))
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Step 3n puts n, step 3n + 1 takes checkpoint n, step 3n + 2 goes back to checkpoint n - 1 (or stays at the first). */
const PROGRAM = `
import { open } from 'moraine'
const [location, folder] = process.argv.slice(1)
const db = await open(location, { wal: { kind: 'local', folder, sync: 'never' }, workerThreads: 0 })
for (let n = 0; ; n++) {
  await db.put('k', String(n))
  process.stdout.write('put\\n')
  await db.checkpoint({ name: 'c' + n })
  process.stdout.write('checkpoint\\n')
  await db.restore('c' + Math.max(0, n - 1))
  process.stdout.write('restore\\n')
}
`

function valueAfter(steps: number): string | undefined {
  if (steps === 0) return undefined
  const n = Math.floor((steps - 1) / 3)
  return String((steps - 1) % 3 === 2 ? Math.max(0, n - 1) : n)
}

test('killed at random moments', async () => {
  const random = new SeededRandom(26)
  for (let round = 0; round < 4; round++) {
    const location = pathToFileURL(join(folder, `db-${round}`)).href
    const log = join(folder, `log-${round}`)
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, location, log], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    const killAfter = 1 + random.below(40)
    let steps = 0
    for await (const line of createInterface({ input: child.stdout })) {
      expect(line).toBe(['put', 'checkpoint', 'restore'][steps % 3])
      // Lines that were on their way count as well.
      if (++steps === killAfter) setTimeout(() => child.kill('SIGKILL'), random.below(8))
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    expect(child.signalCode).toBe('SIGKILL')
    const db = await open(location, { wal: { kind: 'local', folder: log } })
    expect([valueAfter(steps), valueAfter(steps + 1)], `round ${round}, ${steps} steps`).toContain(await textOf(db.get('k')))
    const names = (await db.checkpoints()).map(({ name }) => name)
    const acknowledged = Math.floor((steps + 1) / 3)
    expect(names.slice(0, acknowledged)).toEqual(Array.from({ length: acknowledged }, (_, n) => `c${n}`))
    expect(names.length - acknowledged).toBeLessThanOrEqual(1)
    await db.close()
  }
}, 60_000)
