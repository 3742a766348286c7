// Invariant: a stream job whose process kills itself (-9) at random moments, and is started again until it is done, ends with exactly
// the rows of an undisturbed run.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
let folder: string
beforeAll(async () => {
  // A type error is for the type check to report, the code is written all the same.
  await promisify(execFile)(process.execPath, [fromRoot('node_modules/typescript/bin/tsc'), '-b', fromRoot('packages/examples')]).catch(() => {})
  folder = mkdtempSync(join(tmpdir(), 'moraine-kill-'))
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(example: string, ...args: string[]): Promise<{ kills: number; equal: boolean; outputs: unknown }> {
  const { stdout } = await promisify(execFile)(process.execPath, [fromRoot(`packages/examples/dist/${example}/main.js`), '--json', ...args])
  return JSON.parse(stdout) as { kills: number; equal: boolean; outputs: unknown }
}

test('killed in the midst of records, checkpoints and renames', async () => {
  const location = pathToFileURL(join(folder, 'state')).href
  const { kills, equal, outputs } = await run('sessions', '--records', '6000', '--parallelism', '2', '--crash-every', '2500', '--location', location)
  expect(kills).toBeGreaterThan(0)
  expect(equal).toBe(true)
  // The known answer of an undisturbed run of so many records.
  expect(outputs).toMatchObject({ sessions: { job: { rows: 1_559, digest: '7e8b58a6c485fd59' } }, late: { job: { rows: 0 } } })
  // One prefix below the location, with a folder for each instance: nothing was started over somewhere else.
  const [prefix, ...others] = readdirSync(join(folder, 'state'))
  expect(others).toEqual([])
  expect(readdirSync(join(folder, 'state', prefix as string)).sort()).toEqual(['instance-0', 'instance-1'])
}, 120_000)
