// Invariant: a folder store shows whole objects only, stays inside its root, leaves no trace of failed or finished work,
// and says clearly why a folder cannot be used.
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, utf8Encode } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileError } from './file-error.ts'
import { FileObjectStore } from './file-object-store.ts'

const BODY = utf8Encode('body')

describe('FileObjectStore', () => {
  let parent: string
  let root: string
  let store: FileObjectStore

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'moraine-fs-'))
    root = join(parent, 'not', 'yet there')
    store = new FileObjectStore(root)
  })

  afterEach(async () => {
    await chmod(root, 0o700).catch(() => {})
    await rm(parent, { recursive: true })
  })

  it('makes nothing until something is put', async () => {
    expect(await store.get('a/b')).toBeUndefined()
    expect(await store.head('a/b')).toBeUndefined()
    expect((await store.list('')).objects).toEqual([])
    expect((await store.list('a/b/c')).objects).toEqual([])
    await store.delete('a/b')
    await store.deleteMany(['a/b', 'c'])
    await store.close()
    expect(existsSync(join(parent, 'not'))).toBe(false)
  })

  it('keeps an object as the file of its name, and nothing else once closed', async () => {
    await store.put('a/b', BODY)
    await store.put('a/b', BODY, { ifAbsent: true })
    await store.put('a/c/d', [BODY, BODY])
    await store.close()
    expect(new Uint8Array(await readFile(join(root, 'a', 'b')))).toEqual(BODY)
    expect((await readdir(root, { recursive: true })).toSorted()).toEqual(['a', 'a/b', 'a/c', 'a/c/d'])
  })

  it('removes folders with their last object, up to the root', async () => {
    await store.put('x/y/z/1', BODY)
    await store.put('x/2', BODY)
    await store.delete('x/y/z/1')
    expect(await readdir(join(root, 'x'))).toEqual(['2'])
    await store.deleteMany(['x/2'])
    await store.close()
    expect(await readdir(root)).toEqual([])
  })

  it('makes folders again that somebody else removed, the root included', async () => {
    await store.put('a/b/c', BODY)
    for (const removed of [join(root, 'a', 'b'), join(root, 'a'), join(root, '.moraine-tmp'), root]) {
      await rm(removed, { recursive: true })
      expect(await store.put('a/b/c', BODY, { ifAbsent: true })).toBe(removed.endsWith('tmp') ? 'exists' : 'created')
      expect(await store.put('a/b/c', BODY)).toBe('created')
    }
  })

  it('an empty folder left by somebody does not block a name', async () => {
    await mkdir(join(root, 'a'), { recursive: true })
    expect(await store.put('a', BODY, { ifAbsent: true })).toBe('created')
    await mkdir(join(root, 'b'))
    expect(await store.put('b', BODY)).toBe('created')
  })

  it('an object and a folder of objects cannot share a name', async () => {
    await store.put('a/b', BODY)
    const invalid = expect.objectContaining({ code: 'INVALID' })
    await expect(store.put('a', BODY)).rejects.toEqual(invalid)
    await expect(store.put('a', BODY, { ifAbsent: true })).rejects.toEqual(invalid)
    await expect(store.put('a/b/c', BODY)).rejects.toEqual(invalid)
    expect(await store.get('a')).toBeUndefined()
    expect(await store.get('a/b/c')).toBeUndefined()
    expect(await store.head('a')).toBeUndefined()
    await store.delete('a')
    await store.delete('a/b/c')
    expect((await store.get('a/b'))?.bytes).toEqual(BODY)
    expect(await readdir(join(root, '.moraine-tmp'))).toEqual([])
  })

  it('many creators in several stores on one folder: one wins, losers leave nothing', async () => {
    const stores = [store, new FileObjectStore(root), new FileObjectStore({ root, fsync: false })]
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, i) => (stores[i % 3] as FileObjectStore).put('m/1', utf8Encode(`racer ${i}`), { ifAbsent: true })),
    )
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
    expect((await store.get('m/1'))?.bytes).toEqual(utf8Encode(`racer ${outcomes.indexOf('created')}`))
    expect(await readdir(join(root, '.moraine-tmp'))).toEqual([])
  })

  describe('symbolic links', () => {
    let outside: string
    beforeEach(async () => {
      outside = join(parent, 'outside')
      await mkdir(outside)
      await writeFile(join(outside, 'secret'), 'secret')
      await mkdir(root, { recursive: true })
    })

    it('a linked folder is refused by every call, and nothing is written or deleted behind it', async () => {
      await symlink(outside, join(root, 'link'))
      const invalid = expect.objectContaining({ code: 'INVALID', message: expect.stringContaining('symbolic link') })
      await expect(store.get('link/secret')).rejects.toEqual(invalid)
      await expect(store.head('link/secret')).rejects.toEqual(invalid)
      await expect(store.list('link/')).rejects.toEqual(invalid)
      await expect(store.put('link/new', BODY)).rejects.toEqual(invalid)
      await expect(store.put('link/deep/new', BODY)).rejects.toEqual(invalid)
      await expect(store.put('link/new', BODY, { ifAbsent: true })).rejects.toEqual(invalid)
      await expect(store.delete('link/secret')).rejects.toEqual(invalid)
      await expect(store.deleteMany(['link/secret'])).rejects.toEqual(invalid)
      expect((await store.list('')).objects).toEqual([])
      expect(await readdir(outside, { recursive: true })).toEqual(['secret'])
    })

    it('a linked file is neither read nor listed nor written through', async () => {
      await symlink(join(outside, 'secret'), join(root, 'file'))
      await expect(store.get('file')).rejects.toMatchObject({ code: 'INVALID' })
      expect((await store.list('')).objects).toEqual([])
      expect(await store.put('file', BODY)).toBe('created')
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret')
      expect((await store.get('file'))?.bytes).toEqual(BODY)
    })

    it('the root itself may be reached by a link', async () => {
      await symlink(outside, join(parent, 'alias'))
      const alias = new FileObjectStore(join(parent, 'alias'))
      await alias.put('a/b', BODY)
      expect((await alias.list('')).objects.map(({ key }) => key)).toEqual(['a/b', 'secret'])
    })
  })

  it('the folder of temporary files is hidden and reserved; stale files in it are swept, young ones stay', async () => {
    const temp = join(root, '.moraine-tmp')
    await mkdir(temp, { recursive: true })
    await writeFile(join(temp, 'stale'), '')
    await writeFile(join(temp, 'young'), '')
    await utimes(join(temp, 'stale'), 1, 1)
    await store.put('a', BODY)
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['a'])
    expect(await readdir(temp)).toEqual(['young'])
    await expect(store.get('.moraine-tmp/young')).rejects.toMatchObject({ code: 'INVALID' })
    await expect(store.put('.moraine-tmp', BODY)).rejects.toMatchObject({ code: 'INVALID' })
    expect(await store.put('.moraine-tmp2', BODY)).toBe('created')
  })

  it('files that are no objects are neither listed nor a hindrance', async () => {
    await mkdir(root, { recursive: true })
    await writeFile(join(root, 'control\u0001'), '')
    await writeFile(Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.from([0xff])]), '')
    await store.put('good', BODY)
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['good'])
  })

  it('a root that is a file, or lies below one, is INVALID in every call', async () => {
    const file = join(parent, 'file')
    await writeFile(file, 'x')
    for (const path of [file, join(file, 'below')]) {
      const wrong = new FileObjectStore(path)
      const invalid = expect.objectContaining({ code: 'INVALID', message: expect.stringContaining('is not a folder') })
      await expect(wrong.get('a')).rejects.toEqual(invalid)
      await expect(wrong.head('a')).rejects.toEqual(invalid)
      await expect(wrong.list('')).rejects.toEqual(invalid)
      await expect(wrong.put('a', BODY)).rejects.toEqual(invalid)
      await expect(wrong.put('a', BODY, { ifAbsent: true })).rejects.toEqual(invalid)
      await expect(wrong.delete('a')).rejects.toEqual(invalid)
    }
    expect(await readFile(file, 'utf8')).toBe('x')
  })

  it.skipIf(process.getuid?.() === 0)('a read-only folder is UNAVAILABLE, says what to check, and is left as it was', async () => {
    await mkdir(root, { recursive: true })
    await chmod(root, 0o500)
    await expect(store.put('a', BODY)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('permission') })
    expect(await readdir(root)).toEqual([])
  })

  it.skipIf(!existsSync('/sys/kernel'))('a folder that the system does not let us write is UNAVAILABLE or INVALID, also for root', async () => {
    const wrong = new FileObjectStore('/sys/kernel/moraine')
    await expect(wrong.put('a', BODY)).rejects.toMatchObject({ code: 'UNAVAILABLE', detail: { retryable: false } })
  })

  it('a full disk is UNAVAILABLE and says so', () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    expect(fileError(full, 'write', 'a')).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'cannot write a: the disk is full; free some space',
      detail: { systemError: 'ENOSPC', retryable: false, ambiguous: false },
    })
  })

  it('stamps objects by an injected clock', async () => {
    const clocked = new FileObjectStore({ root, clock: { ...systemClock, nowMs: () => 1_234_567_000 } })
    await clocked.put('a', BODY)
    expect((await clocked.head('a'))?.lastModifiedMs).toBe(1_234_567_000)
    expect((await clocked.list('')).storeTimeMs).toBe(1_234_567_000)
  })

  it.each(['', 7, 'a\0b'])('a root that is no path is INVALID: %j', (path) => {
    expect(() => new FileObjectStore(path as string)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})
