// Invariant: a log is replayed only into the database state that it continues. Any other log is refused with the number of
// writes it holds, set aside when asked, and never replayed, never deleted.
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore } from '@moraine/testing'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open, type OpenOptions } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, numbered, outcomeOf, putAll, QUIET } from './subject.ts'

let folder: string
let store: MemoryObjectStore
let doomed: { readonly store: MortalObjectStore; readonly db: Db }[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-lineage-'))
  store = new MemoryObjectStore()
  doomed = []
})
afterEach(async () => {
  for (const { db } of doomed) await db.close().catch(() => {})
  await rm(folder, { recursive: true, force: true })
})

function log(name: string): OpenOptions {
  return { ...QUIET, ...localLog(join(folder, name)), closeTimeoutMs: 1 }
}

function settingAside(name: string): OpenOptions {
  return { ...log(name), wal: { kind: 'local', folder: join(folder, name), sync: 'never', foreign: 'set-aside' } }
}

/** A process that writes and is killed before it flushes. */
async function writeAndDie(options: OpenOptions, entries: readonly [string, string][]): Promise<void> {
  const mortal = new MortalObjectStore(store)
  const db = await open({ store: mortal }, options)
  await putAll(db, entries)
  mortal.kill()
  doomed.push({ store: mortal, db })
}

/** A process that opens, writes, and closes as it should. */
async function visit(options: OpenOptions, entries: readonly [string, string][]): Promise<void> {
  const db = await open({ store }, { ...options, closeTimeoutMs: 10_000 })
  await putAll(db, entries)
  await db.close()
}

function filesIn(name: string): string[] {
  return readdirSync(join(folder, name)).sort()
}

describe('two log folders', () => {
  test('unflushed writes, then an opening elsewhere: the first log is refused with its writes counted, untouched', async () => {
    await writeAndDie(log('one'), numbered(0, 7))
    await visit(log('two'), [['elsewhere', 'yes']])
    const before = filesIn('one')
    await expect(open({ store }, log('one'))).rejects.toMatchObject({
      code: 'INVALID',
      detail: { writes: 7 },
      message: expect.stringMatching(/holds 7 writes.*moraine wal export.*set-aside/s) as string,
    })
    expect(filesIn('one')).toEqual(before)
    // The refusal came before anybody was fenced or anything was committed.
    const db = await open({ store }, { ...log('two'), takeover: 'fail' })
    expect(await contents(db)).toEqual({ elsewhere: 'yes' })
    await db.close()
  })

  test('set-aside keeps the refused log beside the new one, again and again', async () => {
    for (let round = 1; round <= 3; round++) {
      await writeAndDie(settingAside('one'), numbered(0, 3))
      await visit(log('two'), [[`elsewhere ${round}`, 'yes']])
    }
    await visit(settingAside('one'), [['back', 'yes']])
    const db = await open({ store }, log('one'))
    expect(await contents(db)).toEqual({ 'elsewhere 1': 'yes', 'elsewhere 2': 'yes', 'elsewhere 3': 'yes', back: 'yes' })
    await db.close()
    expect(readdirSync(folder).filter((name) => name.startsWith('one.aside'))).toHaveLength(3)
  })

  test('a database that moves between two machines and is closed cleanly on each opens on both, again and again', async () => {
    for (let round = 0; round < 3; round++) {
      await visit(log('one'), [[`one ${round}`, 'yes']])
      await visit(log('two'), [[`two ${round}`, 'yes']])
    }
    const db = await open({ store }, log('one'))
    expect(Object.keys(await contents(db))).toHaveLength(6)
    await db.close()
  })

  test('the same after a life in which the log was replayed', async () => {
    await writeAndDie(log('one'), numbered(0, 5))
    await visit(log('one'), [])
    await visit(log('two'), [['two', 'yes']])
    const db = await open({ store }, log('one'))
    expect(Object.keys(await contents(db))).toHaveLength(6)
    await db.close()
  })
})

describe('without a log in between', () => {
  test('a named folder is not looked for, and is refused when it comes back', async () => {
    await writeAndDie(log('one'), numbered(0, 4))
    await visit(QUIET, [['between', 'yes']])
    await expect(open({ store }, log('one'))).rejects.toMatchObject({ code: 'INVALID', detail: { writes: 4 } })
    expect(filesIn('one').filter((name) => name.endsWith('.wal'))).toHaveLength(1)
  })

  test('the default folder is found, replayed, and continued afterwards', async () => {
    const stateHome = process.env['XDG_STATE_HOME']
    process.env['XDG_STATE_HOME'] = join(folder, 'state')
    try {
      await writeAndDie({ ...QUIET, wal: 'local', closeTimeoutMs: 1 }, numbered(0, 4))
      const mortal = new MortalObjectStore(store)
      const without = await open({ store: mortal }, { ...QUIET, closeTimeoutMs: 1 })
      expect(Object.keys(await contents(without))).toHaveLength(4)
      await without.put('lost', 'it was never promised')
      mortal.kill()
      doomed.push({ store: mortal, db: without })
      await visit({ ...QUIET, wal: 'local' }, [['after', 'yes']])
      const db = await open({ store }, { ...QUIET, wal: 'local' })
      expect(await contents(db)).toEqual({ ...Object.fromEntries(numbered(0, 4)), after: 'yes' })
      await db.close()
    } finally {
      if (stateHome === undefined) delete process.env['XDG_STATE_HOME']
      else process.env['XDG_STATE_HOME'] = stateHome
    }
  })

  test('a log that was written through a logless life in between continues above what that life flushed', async () => {
    const stateHome = process.env['XDG_STATE_HOME']
    process.env['XDG_STATE_HOME'] = join(folder, 'state')
    try {
      const local: OpenOptions = { ...QUIET, wal: 'local', closeTimeoutMs: 1 }
      await writeAndDie(local, numbered(0, 4))
      await visit(QUIET, numbered(4, 9))
      await writeAndDie(local, numbered(9, 12))
      await writeAndDie(local, numbered(12, 14))
      const db = await open({ store }, local)
      expect(await contents(db)).toEqual(Object.fromEntries(numbered(0, 14)))
      expect(db.stats().lastSequence).toBe(14)
      await db.close()
    } finally {
      if (stateHome === undefined) delete process.env['XDG_STATE_HOME']
      else process.env['XDG_STATE_HOME'] = stateHome
    }
  })
})

describe('pitfall 27: a log folder that cannot be used', () => {
  test("another database's folder is refused, with both ids, and nothing is touched", async () => {
    await writeAndDie(log('one'), numbered(0, 4))
    const other = new MemoryObjectStore()
    const before = filesIn('one')
    await expect(open({ store: other }, log('one'))).rejects.toMatchObject({ code: 'INVALID' })
    expect(filesIn('one')).toEqual(before)
    const db = await open({ store }, log('one'))
    expect(Object.keys(await contents(db))).toHaveLength(4)
    await db.close()
  })

  test('a folder that cannot be made: UNAVAILABLE that says where, and nobody is fenced', async () => {
    await visit(QUIET, [['a', '1']])
    writeFileSync(join(folder, 'file'), 'not a folder')
    const owner = await open({ store }, QUIET)
    await expect(open({ store }, log('file/below'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(join(folder, 'file')) as string,
    })
    await owner.put('b', '2', { durability: 'store' })
    await owner.close()
  })

  test('a damaged header: CORRUPTION, nobody is fenced, the folder stays as it is', async () => {
    await writeAndDie(log('one'), numbered(0, 4))
    const header = filesIn('one').find((name) => !name.endsWith('.wal') && !name.endsWith('.owner'))
    const path = join(folder, 'one', header as string)
    const bytes = readFileSync(path)
    const damaged = Buffer.from(bytes)
    damaged[12] = (damaged[12] as number) ^ 0x40
    writeFileSync(path, damaged)
    expect(await outcomeOf(open({ store }, log('one')))).toBe('CORRUPTION')
    writeFileSync(path, bytes)
    const db = await open({ store }, log('one'))
    expect(Object.keys(await contents(db))).toHaveLength(4)
    await db.close()
  })

  test('a missing segment is refused, not skipped', async () => {
    await writeAndDie(log('one'), numbered(0, 4))
    const mortal = new MortalObjectStore(store)
    const second = await open({ store: mortal }, log('one'))
    await putAll(second, numbered(4, 8))
    mortal.kill()
    doomed.push({ store: mortal, db: second })
    const segments = filesIn('one').filter((name) => name.endsWith('.wal'))
    expect(segments.length).toBeGreaterThan(1)
    await rm(join(folder, 'one', segments[0] as string))
    expect(await outcomeOf(open({ store }, log('one')))).toBe('CORRUPTION')
  })

  test('a log that a clean close left behind holds no segments, and its folder can be deleted at any time', async () => {
    await visit(log('one'), numbered(0, 4))
    expect(filesIn('one').filter((name) => name.endsWith('.wal'))).toEqual([])
    await rm(join(folder, 'one'), { recursive: true })
    await visit(log('one'), [['more', 'yes']])
    expect(existsSync(join(folder, 'one'))).toBe(true)
  })
})
