// Invariant: scripts/moraine shows the state of a database as its writer left it, and reads every write of a local log,
// above all of one that an engine refused to replay, without changing a byte of either.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMoraineError, open } from 'moraine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildCli, jsonLines, runScript } from './run-script.ts'

let folder: string
let database: string
let log: string

beforeAll(async () => {
  await buildCli()
  folder = mkdtempSync(join(tmpdir(), 'moraine-cli-'))
  database = join(folder, 'db')
  log = join(folder, 'log')
  mkdirSync(database)
  const location = pathToFileURL(database).href
  const db = await open(location, { wal: { kind: 'local', folder: log } })
  for (let i = 0; i < 100; i++) await db.put(`key${String(i).padStart(3, '0')}`, `value ${i}`)
  await db.flush()
  await db.put('unflushed', new Uint8Array([0xff]))
  await db.delete('key007')
  // Somebody else takes the database over with another log, so that these last writes are in the first log alone.
  const other = await open(location, { wal: { kind: 'local', folder: join(folder, 'other-log') } })
  await other.close()
  await db.close().catch(() => {})
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function contents(path: string): Record<string, string> {
  return Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name)).toString('base64')]))
}

test('manifest', async () => {
  const [text, json] = await Promise.all([runScript('moraine', 'manifest', database), runScript('moraine', 'manifest', database, '--json')])
  expect([text.code, text.stderr, json.code]).toEqual([0, '', 0])
  expect(text.stdout).toMatch(/^Manifest \d+\n/)
  expect(text.stdout).toMatch(/^ {2}epoch +2$/m)
  expect(text.stdout).toMatch(/^ {2}owner .*has closed it$/m)
  const manifest = JSON.parse(json.stdout) as { levels: { files: unknown[] }[] }
  expect(manifest).toMatchObject({ epoch: 2, released: true, flushedSeq: 100 })
  expect(manifest.levels[0]?.files).toMatchObject([{ entryCount: 100, smallestKey: 'key000', largestKey: 'key099' }])
})

test('tree, of a URL and of a path', async () => {
  const [url, path] = await Promise.all([
    runScript('moraine', 'tree', pathToFileURL(database).href),
    runScript('moraine', 'tree', database, '--hex', '--json'),
  ])
  expect(url.stdout).toMatch(/^Level 0: 1 table, [\d.]+ kB, newest first, may overlap\n/)
  expect(url.stdout).toMatch(/ {2}sst\/000000000001-[0-9a-f]{24}\.sst .* 100 +0 +1\.\.100 +'key000' +'key099'$/m)
  expect(JSON.parse(path.stdout)).toMatchObject({ levels: [{ level: 0, files: [{ smallestKey: '0x6b6579303030' }] }] })
})

describe('wal', () => {
  const unflushed = [
    { key: 'unflushed', seq: 101, type: 'put', value: '\\xff' },
    { key: 'key007', seq: 102, type: 'delete' },
  ]

  test('a log that the engine refuses is exported by the command that the refusal names', async () => {
    const before = contents(log)
    const refusal: unknown = await open(pathToFileURL(database).href, { wal: { kind: 'local', folder: log } })
      .then((db) => db.close())
      .catch((error: unknown) => error)
    expect(isMoraineError(refusal, 'INVALID')).toBe(true)
    const [, command = ''] = /'moraine (wal export [^']+)'/.exec((refusal as Error).message) ?? []
    const { code, stdout, stderr } = await runScript('moraine', ...command.split(' '), '--json', '--after=100')
    expect([code, stderr]).toEqual([0, ''])
    expect(jsonLines(stdout)).toEqual(unflushed)
    expect(contents(log)).toEqual(before)
  })

  test('as text and in base64', async () => {
    const [text, base64] = await Promise.all([
      runScript('moraine', 'wal', 'export', log, '--after=100'),
      runScript('moraine', 'wal', 'export', log, '--after=100', '--json', '--base64'),
    ])
    expect(text.stdout).toBe(String.raw`'unflushed' seq:101, type:put => '\xff'` + "\n'key007' seq:102, type:delete\n")
    expect(jsonLines(base64.stdout)[0]).toEqual({ key: 'dW5mbHVzaGVk', seq: 101, type: 'put', value: '/w==' })
  })

  test('survey', async () => {
    const [text, json] = await Promise.all([runScript('moraine', 'wal', 'survey', log), runScript('moraine', 'wal', 'survey', log, '--json')])
    expect(text.code).toBe(0)
    expect(text.stdout).toMatch(/^writes +[\d,]+ writes, sequence \d+ to 102$/m)
    expect(JSON.parse(json.stdout)).toMatchObject({ lastSeq: 102 })
  })

  test('what stands in front of damage is exported, and the damage is reported', async () => {
    const copy = join(folder, 'damaged-log')
    mkdirSync(copy)
    for (const name of readdirSync(log)) {
      const bytes = readFileSync(join(log, name))
      // Inside of the payload of the last record, which is the delete.
      if (name.endsWith('.wal')) {
        const at = bytes.lastIndexOf('key007')
        if (at >= 0) bytes[at] = 0x4b
      }
      writeFileSync(join(copy, name), bytes)
    }
    const exported = await runScript('moraine', 'wal', 'export', copy, '--json', '--after=100')
    expect(exported.code).toBe(1)
    expect(jsonLines(exported.stdout)).toEqual(unflushed.slice(0, 1))
    expect(exported.stderr).toMatch(/^moraine: the local write-ahead log .* is damaged at byte \d+/)
    const survey = await runScript('moraine', 'wal', 'survey', copy)
    expect(survey.code).toBe(1)
    expect(survey.stdout).toMatch(/^DAMAGED +the local write-ahead log/m)
  })
})

test.each([
  [[], /which command/],
  [['frob'], /no command 'frob'/],
  [['wal'], /wal what/],
  [['tree'], /tree takes one database/],
  [['tree', 'a', 'b'], /tree takes one database/],
  [['tree', 'no-such-folder'], /no folder no-such-folder/],
  [['manifest', 'nowhere://x'], /nowhere:\/\/ is unknown/],
  [['wal', 'export', tmpdir()], /no write-ahead log/],
  [['tree', 'x', '--after=3'], /--after does nothing for tree/],
  [['--frob'], /--frob/],
])('misuse: %j', async (args, message) => {
  const { code, stdout, stderr } = await runScript('moraine', ...args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(message)
  expect(stderr).toMatch(/\nTry 'moraine --help'\.\n$/)
})

test('a folder that holds no database is misuse, and stays empty', async () => {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  const { code, stderr } = await runScript('moraine', 'manifest', empty)
  expect(code).toBe(2)
  expect(stderr).toMatch(/there is no database at file:/)
  expect(readdirSync(empty)).toEqual([])
})

test('help and version', async () => {
  const [help, version] = await Promise.all([runScript('moraine', '--help'), runScript('moraine', '--version')])
  expect([help.code, version.code]).toEqual([0, 0])
  for (const command of ['manifest', 'tree', 'wal survey', 'wal export']) expect(help.stdout).toContain(`moraine ${command} `)
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})
