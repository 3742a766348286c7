// Invariant: `moraine blobs` lists exactly the blob files that the newest manifest refers to, and a walk finds damage in any
// of them; the other commands count them as well.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { open } from 'moraine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildCli, runScript } from './run-script.ts'

let database: string
let files: string[]

beforeAll(async () => {
  await buildCli()
  database = mkdtempSync(join(tmpdir(), 'moraine-cli-'))
  const db = await open(pathToFileURL(database).href, { wal: 'none', blobThresholdBytes: 1024, blobGarbagePercent: 0, compression: 'none' })
  for (let i = 0; i < 10; i++) await db.put(`key${i}`, 'x'.repeat(2000))
  await db.flush()
  for (let i = 0; i < 5; i++) await db.put(`key${i}`, 'y'.repeat(2000))
  await db.compact()
  await db.close()
  files = readdirSync(join(database, 'blob')).sort()
}, 120_000)
afterAll(() => rmSync(database, { recursive: true, force: true }))

test('blobs', async () => {
  const [text, json] = await Promise.all([runScript('moraine', 'blobs', database, '--walk'), runScript('moraine', 'blobs', database, '--json')])
  expect([text.code, text.stderr]).toEqual([0, ''])
  expect(files).toHaveLength(2)
  expect(text.stdout).toMatch(/ 50 % +1 +10 records, 20\.0 kB of values$/m)
  expect(text.stdout).toMatch(/ 100 % +1 +5 records, 10\.0 kB of values$/m)
  expect(text.stdout).toMatch(/^2 blob files, 30\.3 kB, of which 20\.1 kB in use$/m)
  expect((JSON.parse(json.stdout) as { name: string }[]).map(({ name }) => name)).toEqual(files.map((name) => `blob/${name}`))
})

test('manifest, tree and verify count them', async () => {
  const [manifest, tree, verify] = await Promise.all([
    runScript('moraine', 'manifest', database),
    runScript('moraine', 'tree', database),
    runScript('moraine', 'verify', database, '--deep'),
  ])
  expect(manifest.stdout).toMatch(/^ {2}blob files +2, 30\.3 kB, of which 20\.1 kB in use$/m)
  expect(tree.stdout).toMatch(/\.sst +[\d.]+ k?B +20\.1 kB +10 +0 /m)
  expect([verify.code, verify.stdout]).toEqual([0, expect.stringMatching(/^1 table and 2 blob files, /)])
})

test('damage, also where nothing refers to it any more', async () => {
  // The larger one, whose first half was overwritten; names are random.
  const paths = files.map((name) => join(database, 'blob', name))
  const path = paths.find((each) => statSync(each).size > 15_000) as string
  const whole = readFileSync(path)
  const damaged = Buffer.from(whole)
  damaged[100] = (damaged[100] as number) ^ 1
  writeFileSync(path, damaged)
  const walked = await runScript('moraine', 'blobs', database, '--walk')
  expect(walked.code).toBe(1)
  expect(walked.stdout).toMatch(/the checksum of the record at 12 does not fit/)
  // What no table refers to is nobody's loss.
  expect((await runScript('moraine', 'verify', database, '--deep')).code).toBe(0)
  writeFileSync(path, whole)
})

test('misuse', async () => {
  const [none, two] = await Promise.all([runScript('moraine', 'blobs'), runScript('moraine', 'blobs', database, database)])
  expect([none.code, two.code]).toEqual([2, 2])
})
