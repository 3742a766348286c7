// Invariant: a process may die before or after any step that an opening (or a flush, or a close) makes in its log folder:
// the next opening takes the same log for its own and finds every acknowledged write in it.
import { MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore } from '@moraine/testing'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Db, open } from 'moraine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { contents, localLog, numbered, outcomeOf, QUIET } from './subject.ts'

/** Steps made in the file system; at step `dieAt` the process stops, before the step or after it. */
const disk = vi.hoisted(() => ({
  steps: 0,
  dieAt: 0,
  when: 'before' as 'before' | 'after',
  died: () => {},
  opened: [] as FileHandle[],
}))

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>()
  const mortal = <Step extends (...parameters: never[]) => Promise<unknown>>(step: Step): Step =>
    (async (...parameters: never[]) => {
      if (disk.dieAt === 0) return await step(...parameters)
      disk.steps++
      if (disk.steps > disk.dieAt) return await new Promise(() => {})
      if (disk.steps < disk.dieAt) return await step(...parameters)
      if (disk.when === 'after') await step(...parameters).catch(() => {})
      disk.died()
      return await new Promise(() => {})
    }) as unknown as Step
  return {
    ...real,
    open: mortal(async (...parameters: Parameters<typeof real.open>) => {
      const file = await real.open(...parameters)
      disk.opened.push(file)
      return file
    }),
    writeFile: mortal(real.writeFile as never),
    link: mortal(real.link as never),
    unlink: mortal(real.unlink as never),
    rename: mortal(real.rename as never),
    mkdir: mortal(real.mkdir as never),
  }
})

let folder: string
const graves: { readonly store: CutObjectStore; readonly opening: Promise<Db> }[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-log-crash-'))
  disk.dieAt = 0
})
afterEach(async () => {
  disk.dieAt = 0
  for (const { store, opening } of graves.splice(0)) {
    store.bury()
    // An opening that stopped at a step of the disk never ends; there is nothing in it to close.
    await Promise.race([opening.then((db) => db.close()).catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1))])
  }
  // A process that is gone has closed its files; here it only stopped.
  await Promise.all(disk.opened.splice(0).map((file) => file.close().catch(() => {})))
  rmSync(folder, { recursive: true, force: true })
})

/** Runs `life`, dying at one step in the file system; `ended` when that step was never made. */
async function live(
  inner: MemoryObjectStore,
  options: Parameters<typeof open>[1],
  death: { readonly step: number; readonly when: 'before' | 'after' } | undefined,
  life: (db: Db) => Promise<void>,
): Promise<{ ended: boolean }> {
  const died = new Promise<void>((resolve) => {
    disk.died = resolve
  })
  disk.steps = 0
  disk.dieAt = death?.step ?? 0
  disk.when = death?.when ?? 'before'
  const store = new CutObjectStore(inner)
  const opening = open({ store }, options)
  graves.push({ store, opening })
  const living = opening.then(life)
  living.catch(() => {})
  const ended = await Promise.race([living.then(() => true), died.then(() => false)])
  disk.dieAt = 0
  return { ended }
}

describe('pitfall 33: a process that dies at any step in its log folder', () => {
  for (const when of ['before', 'after'] as const) {
    test(`an opening of a log with unflushed writes, ${when} the step`, async () => {
      for (let step = 1; ; step++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, ...localLog(join(folder, String(step))) }
        const expected = Object.fromEntries(numbered(0, 10))
        await live(store, options, undefined, (db) => Promise.all(numbered(0, 10).map(([k, v]) => db.put(k, v))).then(() => {}))
        const { ended } = await live(store, options, { step, when }, async (db) => {
          await db.put('later', 'yes')
          expected['later'] = 'yes'
        })
        const db = await open({ store }, options)
        const found = await contents(db)
        expect({ later: expected['later'], ...found }, `step ${step}`).toEqual({ later: found['later'], ...expected })
        await db.close()
        if (ended) {
          expect(step).toBeGreaterThan(3)
          break
        }
      }
    })

    test(`the creation of a database and its log, ${when} the step`, async () => {
      for (let step = 1; ; step++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, ...localLog(join(folder, 'deep', String(step))) }
        const { ended } = await live(store, options, { step, when }, async (db) => db.put('a', '1'))
        const db = await open({ store }, options)
        if (ended) expect(await contents(db)).toEqual({ a: '1' })
        await db.put('b', '2')
        await db.close()
        const again = await open({ store }, options)
        expect(await contents(again)).toMatchObject({ b: '2' })
        await again.close()
        if (ended) break
      }
    })

    test(`flushes and a clean close, ${when} the step`, async () => {
      for (let step = 1; ; step++) {
        const store = new MemoryObjectStore()
        const options = { ...QUIET, ...localLog(join(folder, String(step))) }
        const acknowledged: Record<string, string> = {}
        const { ended } = await live(store, options, { step, when }, async (db) => {
          for (const [key, value] of numbered(0, 6)) {
            await db.put(key, value)
            acknowledged[key] = value
            if (key.endsWith('3')) await db.flush()
          }
          await db.close()
        })
        const db = await open({ store }, options)
        expect(await contents(db), `step ${step}`).toMatchObject(acknowledged)
        await db.close()
        if (ended) break
      }
    })

    test(`setting a foreign log aside, ${when} the step: both logs are still there`, async () => {
      for (let step = 1; ; step++) {
        const store = new MemoryObjectStore()
        const mine = { ...QUIET, ...localLog(join(folder, `mine-${step}`)) }
        const other = { ...QUIET, ...localLog(join(folder, `other-${step}`)) }
        await live(store, mine, undefined, (db) => db.put('mine', 'unflushed'))
        await live(store, other, undefined, (db) => db.put('other', 'unflushed'))
        expect(await outcomeOf(open({ store }, mine))).toBe('INVALID')
        const aside = { ...mine, wal: { ...(mine.wal as { kind: 'local' }), foreign: 'set-aside' as const } }
        const { ended } = await live(store, aside, { step, when }, (db) => db.put('new', 'log'))
        const db = await open({ store }, aside)
        // Nobody replays a log that does not continue the database; nobody deletes it either.
        expect(Object.keys(await contents(db)).filter((key) => key !== 'new')).toEqual([])
        await db.close()
        const logs = readdirSync(folder).filter((name) => name.startsWith(`mine-${step}.aside`))
        expect(logs.length).toBeGreaterThan(0)
        expect(readdirSync(join(folder, `other-${step}`)).filter((name) => name.endsWith('.wal'))).toHaveLength(1)
        if (ended) break
      }
    })
  }
})
