// Invariant: checkpoints can be taken, listed, compared and given up beside a running writer, without disturbing it; what
// needs a commit is refused while somebody else may be writing.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { collectGarbage, type Db, open, openReader } from 'moraine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildCli, runScript } from './run-script.ts'

let folder: string
let database: string
let db: Db

beforeAll(async () => {
  await buildCli()
  folder = mkdtempSync(join(tmpdir(), 'moraine-checkpoints-'))
  database = join(folder, 'db')
  mkdirSync(database)
  db = await open(pathToFileURL(database).href, { wal: 'none' })
  await db.put('k', '1')
  await db.checkpoint({ name: 'first', metadata: { offset: 1 } })
}, 120_000)
afterAll(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

test('taken beside a running writer: named, kept from collection, readable; a used name is refused', async () => {
  await db.put('k', '2')
  await db.flush()
  await db.put('k', 'not flushed')
  const taken = await runScript('moraine', 'checkpoint', database, '--name=second', '--metadata={"by":"hand"}', '--json')
  expect([taken.code, taken.stderr]).toEqual([0, ''])
  const again = await runScript('moraine', 'checkpoint', database, '--name=first')
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("'first' already")])
  await db.compact()
  await collectGarbage(pathToFileURL(database).href, { graceMs: 0 })
  const reader = await openReader(pathToFileURL(database).href, { checkpoint: 'second' })
  expect(Buffer.from((await reader.get('k')) as Uint8Array).toString()).toBe('2')
  expect(reader.checkpoint).toMatchObject({ name: 'second', metadata: { by: 'hand' } })
  await reader.close()
})

test('listed with what they say, and compared', async () => {
  const [text, json, diff] = await Promise.all([
    runScript('moraine', 'checkpoints', database),
    runScript('moraine', 'checkpoints', database, '--json'),
    runScript('moraine', 'checkpoints', database, '--diff=first,second', '--json'),
  ])
  expect(text.stdout).toMatch(/first .* writer .*offset/)
  expect(text.stdout).toMatch(/second .* outside .*by/)
  expect(JSON.parse(json.stdout)).toMatchObject([{ name: 'first', taken: 'writer' }, { name: 'second', taken: 'outside' }])
  expect(JSON.parse(diff.stdout)).toMatchObject({ shared: { files: 1 }, added: { files: 1 }, gone: { files: 0 } })
})

test('given up: one from outside at once, the writer\'s own only with its owner gone', async () => {
  const outside = await runScript('moraine', 'checkpoints', database, '--delete=second')
  expect([outside.code, outside.stderr]).toEqual([0, ''])
  const refused = await runScript('moraine', 'checkpoints', database, '--delete=first')
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('may still be running')])
  await db.put('k', 'still mine')
  await db.close()
  const released = await runScript('moraine', 'checkpoints', database, '--delete=first')
  expect([released.code, released.stderr]).toEqual([0, ''])
  expect((await runScript('moraine', 'checkpoints', database)).stdout).toBe('No checkpoints\n')
  const unknown = await runScript('moraine', 'checkpoints', database, '--delete=first')
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("no checkpoint 'first'")])
})

test('a wrong command line is misuse', async () => {
  for (const args of [['checkpoint'], ['checkpoint', database, '--metadata={'], ['checkpoints', database, '--takeover'], ['checkpoints', database, '--diff=a', '--delete=b']]) {
    expect((await runScript('moraine', ...args)).code, args.join(' ')).toBe(2)
  }
})
