// Invariant: on a real S3 server and in folders a clone works as it does in memory, also when its sources are in another
// bucket or folder, and when its compactions run in threads.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { randomHex, systemRandom } from '@moraine/base'
import { S3ObjectStore } from '@moraine/object-store'
import { s3TestServer } from '@moraine/testing'
import { clone, collectGarbage, destroy, open } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, numbered, outcomeOf, putAll } from './subject.ts'

const server = s3TestServer()
const ALL = Object.fromEntries(numbered(0, 500, 200))

describe.skipIf(server === undefined)('clones', () => {
  let folder: string
  let base: string
  const { endpoint = '', bucket = '' } = server ?? {}
  const s3 = (name: string): string => `s3://${bucket}/${base}/${name}?endpoint=${endpoint}`
  const file = (name: string): string => pathToFileURL(join(folder, name)).href

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-clone-'))
    base = `clone/${randomHex(systemRandom, 8)}`
  })
  afterEach(async () => {
    const store = new S3ObjectStore({ bucket, endpoint })
    for (;;) {
      const page = await store.list(`${base}/`)
      if (page.objects.length === 0) break
      await store.deleteMany(page.objects.map((object) => object.key))
    }
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const [name, source, target] of [
    ['in one bucket', s3, s3],
    ['from folder to folder', file, file],
    ['from a bucket to a folder', s3, file],
    ['from a folder to a bucket', file, s3],
  ] as const) {
    test(`${name}: split, written to, united, detached, and the source destroyed`, async () => {
      const a = await open(source('a'), { wal: 'none' })
      await putAll(a, numbered(0, 500, 200))
      await a.compact()
      await a.close()
      await clone(source('a'), target('left'), { range: { lt: 'key-000250' } })
      await clone(source('a'), target('right'), { range: { gte: 'key-000250' } })
      const left = await open(target('left'), { wal: 'none' })
      await left.put('key-000001', ALL['key-000001'] as string)
      await left.compact()
      await left.close()
      await clone([target('right'), target('left')], target('whole'))
      const whole = await open(target('whole'), { wal: 'none' })
      expect(await contents(whole)).toEqual(ALL)
      expect(await outcomeOf(destroy(source('a')))).toBe('CONFLICT')
      await whole.detach()
      await destroy(target('left'))
      await destroy(target('right'))
      await collectGarbage(source('a'), { graceMs: 0, force: true })
      await destroy(source('a'))
      expect(await contents(whole)).toEqual(ALL)
      await whole.close()
    })
  }
})
