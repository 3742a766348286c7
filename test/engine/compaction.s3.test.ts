// Invariant: on a real S3 server, and in a folder, tiered and leveled compaction leave one sorted run that answers as before.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { randomHex, systemRandom } from '@moraine/base'
import { s3TestServer } from '@moraine/testing'
import { destroy, open } from 'moraine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contents, numbered, putAll, SMALL } from './subject.ts'

const server = s3TestServer()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-compaction-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const places: [kind: string, location: () => string][] = [
  ['a folder', () => pathToFileURL(join(folder, randomHex(systemRandom, 4))).href],
  ['S3', () => `s3://${server?.bucket}/compaction/${randomHex(systemRandom, 8)}?endpoint=${server?.endpoint}`],
]

describe.skipIf(server === undefined).each(places)('compaction in %s', (_kind, location) => {
  test.each(['leveled', 'tiered'] as const)('%s', async (compaction) => {
    const url = location()
    const options = { ...SMALL, compaction }
    const db = await open(url, options)
    for (let round = 0; round < 6; round++) {
      await putAll(db, numbered(round * 20, round * 20 + 100, 40))
      await db.delete(`key-00000${round}`)
      await db.flush()
    }
    const expected = await contents(db)
    await db.compact()
    expect(db.stats().levels.filter(({ files }) => files > 0)).toHaveLength(1)
    expect(db.stats().levels.reduce((count, level) => count + level.entries, 0)).toBe(Object.keys(expected).length)
    await db.close()
    const again = await open(url, options)
    expect(await contents(again)).toEqual(expected)
    await again.close()
    await destroy(url)
  })
})
