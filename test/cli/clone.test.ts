// Invariant: moraine clone makes the clone that it was asked for, says what it refers to, and tells a wrong command line
// (exit code 2) from a clone that cannot be made (1).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { open } from 'moraine'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { buildCli, runScript } from './run-script.ts'

let folder: string

beforeAll(buildCli, 120_000)
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-clone-cli-'))
  const db = await open(pathToFileURL(join(folder, 'a')).href, { wal: 'none' })
  for (const key of ['a', 'b', 'c', 'd']) await db.put(key, '1')
  await db.checkpoint({ name: 'early' })
  await db.put('e', '2')
  await db.close()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function keysOf(name: string): Promise<string> {
  const db = await open(pathToFileURL(join(folder, name)).href, { wal: 'none', createIfMissing: false })
  let keys = ''
  for await (const [key] of db.scan()) keys += Buffer.from(key).toString()
  await db.close()
  return keys
}

test('a whole database, a checkpoint, a range, and the parts united', async () => {
  const at = (name: string): string => join(folder, name)
  const whole = await runScript('moraine', 'clone', at('a'), at('whole'))
  expect([whole.code, whole.stderr]).toEqual([0, ''])
  expect(whole.stdout).toMatch(/refers to 2 tables .* and copied none\nPinned: manifest \d+ of database [0-9a-f]{32} \(file:/)
  expect(await keysOf('whole')).toBe('abcde')
  expect((await runScript('moraine', 'clone', at('a'), at('early'), '--checkpoint=early')).code).toBe(0)
  expect(await keysOf('early')).toBe('abcd')
  expect((await runScript('moraine', 'clone', at('a'), at('left'), '--to=c')).code).toBe(0)
  expect((await runScript('moraine', 'clone', at('a'), at('right'), '--from=0x63', '--hex')).code).toBe(0)
  expect(await keysOf('left')).toBe('ab')
  const united = await runScript('moraine', 'clone', at('right'), at('left'), at('both'), '--json')
  expect(JSON.parse(united.stdout)).toMatchObject({ tables: 2 })
  expect(await keysOf('both')).toBe('abcde')
})

test('what is wrong', async () => {
  const a = join(folder, 'a')
  expect((await runScript('moraine', 'clone', a)).code).toBe(2)
  expect((await runScript('moraine', 'clone', a, a, join(folder, 'x'), '--from=b')).code).toBe(2)
  const taken = await runScript('moraine', 'clone', a, a)
  expect(taken.code).toBe(1)
  expect(taken.stderr).toMatch(/source and target at once|holds a database already/)
})
