// Invariant: moraine verify says what is wrong and exits with 1 for it, moraine gc deletes what its plan names and nothing
// in a dry run, moraine destroy deletes nothing without --yes.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { open } from 'moraine'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildCli, runScript } from './run-script.ts'

const ORPHAN = '000000000001-0123456789abcdef01234567.sst'

let folder: string
let database: string

beforeAll(buildCli, 120_000)
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-maintenance-'))
  database = join(folder, 'db')
  mkdirSync(database)
  const location = pathToFileURL(database).href
  for (const key of ['a', 'b']) {
    const db = await open(location, { wal: 'none' })
    await db.put(key, '1')
    await db.flush()
    if (key === 'a') await db.checkpoint({ name: 'early' })
    await db.close()
  }
  writeFileSync(join(database, 'sst', ORPHAN), 'left by a crash')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const tables = (): string[] => readdirSync(join(database, 'sst'))

test('verify: fine, then with a missing table', async () => {
  const fine = await runScript('moraine', 'verify', database, '--deep', '--orphans')
  expect([fine.code, fine.stderr]).toEqual([0, ''])
  expect(fine.stdout).toMatch(/^2 tables, .*every block checked\n/)
  expect(fine.stdout).toContain(`sst/${ORPHAN}`)
  const second = tables().find((name) => name.startsWith('000000000002')) as string
  rmSync(join(database, 'sst', second))
  const [text, json] = await Promise.all([runScript('moraine', 'verify', database), runScript('moraine', 'verify', database, '--json')])
  expect([text.code, json.code]).toEqual([1, 1])
  expect(text.stdout).toMatch(new RegExp(`^PROBLEM sst/${second} is missing .*'b' to 'b'`, 'm'))
  expect(text.stdout).toMatch(/^DAMAGED {2}the newest state/m)
  expect(text.stdout).toMatch(/^whole {4}checkpoint early/m)
  expect(JSON.parse(json.stdout)).toMatchObject({ problems: [{ object: `sst/${second}`, missing: true }] })
})

test('gc: a dry run, the grace period, then for good', async () => {
  const dry = await runScript('moraine', 'gc', database, '--dry-run', '--grace=0s')
  expect([dry.code, dry.stderr]).toEqual([0, ''])
  expect(dry.stdout).toContain(`sst/${ORPHAN}`)
  await runScript('moraine', 'gc', database, '--grace=1h')
  expect(tables()).toHaveLength(3)
  const done = await runScript('moraine', 'gc', database, '--grace=0s', '--json')
  expect(JSON.parse(done.stdout)).toMatchObject({ dryRun: false, tables: 1 })
  expect(tables()).toHaveLength(2)
  expect((await runScript('moraine', 'gc', database, '--grace=soon')).code).toBe(2)
})

test('destroy: not without --yes', async () => {
  expect((await runScript('moraine', 'destroy', database)).code).toBe(2)
  expect(tables()).toHaveLength(3)
  const done = await runScript('moraine', 'destroy', database, '--yes')
  expect([done.code, done.stderr]).toEqual([0, ''])
  expect(existsSync(join(database, 'identity'))).toBe(false)
})
