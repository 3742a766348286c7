// Invariant: a log that does not continue the database is refused with the number of writes it really holds, also when its
// flushed segments are gone and it starts far above sequence 1; nothing of it is lost.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore } from '@moraine/testing'
import { open } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-refused-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('pitfall 27: the refusal counts the writes above the segments that were flushed', async () => {
  const store = new MemoryObjectStore()
  const here = { kind: 'local', folder: join(folder, 'here') } as const
  const first = new MortalObjectStore(store)
  const db = await open({ store: first, prefix: 'db' }, { wal: here })
  for (let i = 0; i < 20; i++) await db.put(`flushed-${i}`, 'x')
  await db.flush()
  await db.put('turns the log over', 'x')
  await db.flush()
  for (let i = 0; i < 7; i++) await db.put(`only in the log-${i}`, 'x')
  first.kill()

  const elsewhere = await open({ store, prefix: 'db' }, { wal: { kind: 'local', folder: join(folder, 'elsewhere') } })
  await elsewhere.close()
  const before = await readdir(here.folder)
  await expect(open({ store, prefix: 'db' }, { wal: here })).rejects.toMatchObject({
    code: 'INVALID',
    // The seven, and the flushed one that shares their oldest segment.
    message: expect.stringContaining('holds 8 writes'),
    detail: { writes: 8 },
  })
  expect(await readdir(here.folder)).toEqual(before)

  const again = await open({ store, prefix: 'db' }, { wal: { ...here, foreign: 'set-aside' } })
  expect(await again.get('only in the log-0')).toBeUndefined()
  expect(await again.get('flushed-0')).toBeDefined()
  await again.close()
  expect((await readdir(folder)).some((name) => name.startsWith('here.aside-'))).toBe(true)
})
