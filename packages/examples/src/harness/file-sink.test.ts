// Invariant: a row is shown once, when the checkpoint after it is complete, and never when that checkpoint never came to be.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { isMoraineError, type JsonValue } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileSink, readRows } from './file-sink.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-sink-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

let seed = 1
async function started(known: readonly JsonValue[] = []): Promise<FileSink> {
  const sink = new FileSink('rows', folder, new SeededRandom(seed++))
  for (const transaction of known) await sink.commit(transaction)
  await sink.abortUnknown(known)
  return sink
}

async function shown(): Promise<JsonValue[]> {
  const rows: JsonValue[] = []
  for await (const row of readRows(folder)) rows.push(row)
  return rows
}

test('rows are shown by the commit, in order, and what is written after prepare() belongs to the next part', async () => {
  const sink = await started()
  sink.write(1)
  sink.write({ text: 'two\nlines' })
  const preparing = sink.prepare()
  sink.write(3)
  const transaction = (await preparing) as JsonValue
  expect(await shown()).toEqual([])
  await sink.commit(transaction)
  expect(await shown()).toEqual([1, { text: 'two\nlines' }])
  await sink.commit((await sink.prepare()) as JsonValue)
  expect(await shown()).toEqual([1, { text: 'two\nlines' }, 3])
})

test('nothing to show is no part', async () => {
  expect(await (await started()).prepare()).toBeUndefined()
  expect(await readdir(folder)).toEqual([])
})

test('a commit may come again, from another process too', async () => {
  const sink = await started()
  sink.write('a')
  const transaction = (await sink.prepare()) as JsonValue
  await sink.commit(transaction)
  await sink.commit(transaction)
  await started([transaction])
  expect(await shown()).toEqual(['a'])
})

test('the next start commits what the checkpoint has and drops the rest', async () => {
  const sink = await started()
  sink.write('kept')
  const kept = (await sink.prepare()) as JsonValue
  sink.write('never happened')
  await sink.prepare()
  sink.write('nor did this')
  const next = await started([kept])
  expect(await shown()).toEqual(['kept'])
  expect(await readdir(folder)).toHaveLength(1)
  next.write('goes on')
  await next.commit((await next.prepare()) as JsonValue)
  expect(await shown()).toEqual(['kept', 'goes on'])
})

test('rows that wait for a checkpoint are dropped when the job starts again in the same process', async () => {
  const sink = await started()
  sink.write('never happened')
  await sink.abortUnknown([])
  expect(await sink.prepare()).toBeUndefined()
})

test('rows stay with a sink that could not prepare', async () => {
  const sink = await started()
  sink.write(1)
  await rm(folder, { recursive: true })
  const failing = sink.prepare()
  sink.write(2)
  await expect(failing).rejects.toThrow(/ENOENT/)
  await mkdir(folder)
  await sink.commit((await sink.prepare()) as JsonValue)
  expect(await shown()).toEqual([1, 2])
})

test('rows of a start that is over do not come back when their file fails late', async () => {
  const sink = await started()
  sink.write('before')
  await rm(folder, { recursive: true })
  const failing = sink.prepare()
  const restarted = sink.abortUnknown([])
  await expect(failing).rejects.toThrow(/ENOENT/)
  await restarted
  sink.write('after')
  await sink.commit((await sink.prepare()) as JsonValue)
  expect(await shown()).toEqual(['after'])
})

test('a part that is gone is an error, not an empty result', async () => {
  const sink = await started()
  await expect(sink.commit({ part: 'part-00000000-00000000.jsonl' })).rejects.toSatisfy((error) => isMoraineError(error, 'CORRUPTION'))
})

test('files of others are left alone and not read', async () => {
  await writeFile(join(folder, 'notes.txt'), 'mine')
  const sink = await started()
  sink.write(1)
  await sink.commit((await sink.prepare()) as JsonValue)
  expect(await shown()).toEqual([1])
  expect(await readdir(folder)).toContain('notes.txt')
})
