// Invariant: worker threads start and do their work however the program itself was given to Node.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildCli } from '../cli/run-script.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
let folder: string
beforeAll(async () => {
  await buildCli()
  folder = mkdtempSync(join(root, 'node_modules', '.moraine-programs-'))
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const PROGRAM = `
import { MemoryObjectStore, open } from 'moraine'
const db = await open({ store: new MemoryObjectStore(), prefix: 'x' }, { wal: 'none', memtableSizeBytes: 4e6, workerThreads: 1 })
const value = new Uint8Array(1000)
for (let i = 0; i < 12000; i++) await db.put('k' + i, value)
await db.flush()
await db.compact()
let count = 0
for await (const batch of db.scanBatches()) count += batch.length
console.log(count)
await db.close()
`

test('a program given as text loads more than a worker`s worth of data', async () => {
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd: folder })
  expect(await run).toEqual({ stdout: '12000\n', stderr: '' })
})
