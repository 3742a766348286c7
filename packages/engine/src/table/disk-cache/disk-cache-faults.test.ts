/**
 * Invariant: whatever happens to the disk or to its files, at any moment, a read gives the right bytes or none, and never
 * fails; after repeated failures the cache leaves the disk alone, and says so once.
 */
import { mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MoraineError, SeededRandom } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FileId } from '../../layout/object-names.ts'
import { type CacheDisk, type CacheFile, localCacheDisk } from './cache-disk.ts'
import { DiskCache } from './disk-cache.ts'

const MIB = 1024 * 1024
const DATABASE = 'a'.repeat(32)
const FILE = '000000000001-0123456789ab0123456789ab' as FileId

let folder: string
let caches: DiskCache[]
let errors: MoraineError[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-cache-'))
  caches = []
  errors = []
})
afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.close()))
  await rm(folder, { recursive: true, force: true })
})

async function opened(disk: CacheDisk = localCacheDisk): Promise<DiskCache> {
  const cache = new DiskCache({ folder, sizeBytes: MIB, random: new SeededRandom(caches.length), onError: (error) => errors.push(error), disk })
  caches.push(cache)
  await cache.open(DATABASE)
  return cache
}

const bytesOf = (block: number, length: number): Uint8Array => new SeededRandom(block).fill(new Uint8Array(length))

async function put(cache: DiskCache, from: number, to: number, length = 60): Promise<void> {
  for (let block = from; block < to; block++) {
    cache.offer(FILE, block * length, bytesOf(block, length))
    if (block % 16 === 15) await cache.drained()
  }
  await cache.drained()
}

async function found(cache: DiskCache, blocks: number, length = 60): Promise<number> {
  let count = 0
  for (let block = 0; block < blocks; block++) {
    const bytes = await cache.read(FILE, block * length, length)
    if (bytes === undefined) continue
    expect(Buffer.compare(bytes, bytesOf(block, length))).toBe(0)
    count++
  }
  return count
}

async function filesOnDisk(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe('damage', () => {
  test('pitfall 16: every byte of every file flipped in turn: the right bytes or none, and the next writes work', async () => {
    const first = await opened()
    await put(first, 0, 6)
    await first.close()
    const lost: number[] = []
    const files = await Promise.all((await filesOnDisk()).map(async (path) => ({ path, content: await readFile(path) })))
    for (const { path, content } of files) {
      for (let at = 0; at < content.length; at++) {
        const damaged = Buffer.from(content)
        damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
        await writeFile(path, damaged)
        const cache = await opened()
        lost.push(6 - (await found(cache, 6)))
        expect(cache.stats().state).toBe('on')
        await put(cache, 0, 6)
        expect(await found(cache, 6)).toBe(6)
        await cache.close()
        for (const other of await filesOnDisk()) await unlink(other)
        for (const file of files) await writeFile(file.path, file.content)
      }
    }
    // Some flips cost a block or all of them, those in zeros and in the index none.
    expect(new Set(lost).size).toBeGreaterThan(2)
    expect(errors).toEqual([])
  }, 120_000)

  test('a segment cut at every length, before the opening and while it is open', async () => {
    const first = await opened()
    await put(first, 0, 6)
    await first.close()
    const path = (await filesOnDisk()).find((name) => name.endsWith('.seg')) as string
    const content = await readFile(path)
    for (let length = content.length - 1; length >= 0; length -= 7) {
      await writeFile(path, content.subarray(0, length))
      const cache = await opened()
      expect(await found(cache, 6)).toBeLessThanOrEqual(6)
      await cache.close()
      await writeFile(path, content)
      const open = await opened()
      await truncate(path, length)
      expect(await found(open, 6)).toBeLessThanOrEqual(6)
      await open.close()
      await writeFile(path, content)
    }
  })

  test('two segments that changed their names, and one of another database: nothing wrong', async () => {
    const first = await opened()
    await put(first, 0, 300, 1000)
    await first.close()
    const segments = (await filesOnDisk()).filter((name) => name.endsWith('.seg')).sort()
    const [a, b] = segments as [string, string]
    const [inA, inB] = [await readFile(a), await readFile(b)]
    await writeFile(a, inB)
    await writeFile(b, inA)
    const cache = await opened()
    expect(await found(cache, 300, 1000)).toBe(300)
    await cache.close()
    const foreign = Buffer.from(await readFile(a))
    foreign[12] = (foreign[12] as number) ^ 1
    await writeFile(a, foreign)
    const again = await opened()
    expect(await found(again, 300, 1000)).toBeLessThan(300)
    expect(await filesOnDisk()).not.toContain(a)
  })
})

describe('deletion', () => {
  test('of the whole folder while it is open: at most misses, and new writes make it anew', async () => {
    const cache = await opened()
    await put(cache, 0, 40, 1000)
    await rm(folder, { recursive: true })
    await found(cache, 40, 1000)
    await put(cache, 40, 400, 1000)
    expect(await found(cache, 400, 1000)).toBeGreaterThan(200)
    expect(cache.stats().state).toBe('on')
    expect(errors).toEqual([])
  })

  test('of each file in turn', async () => {
    const first = await opened()
    await put(first, 0, 300, 1000)
    await first.close()
    const paths = await filesOnDisk()
    expect(paths.length).toBeGreaterThan(3)
    for (const path of paths) {
      const content = await readFile(path)
      await unlink(path)
      const cache = await opened()
      const count = await found(cache, 300, 1000)
      expect(count).toBeGreaterThan(50)
      await cache.close()
      await writeFile(path, content)
    }
  })
})

describe('a failing disk', () => {
  test('full: writes stop after a few failures with one error, what is there is still read', async () => {
    const disk = new FaultyDisk()
    const cache = await opened(disk)
    await put(cache, 0, 16, 1000)
    disk.writeError = 'ENOSPC'
    for (let round = 1; round < 6; round++) await put(cache, round * 16, round * 16 + 16, 1000)
    expect(cache.stats()).toMatchObject({ state: 'read-only', failures: 3 })
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE', detail: { errno: 'ENOSPC' } }])
    expect(await found(cache, 96, 1000)).toBe(16)
    expect(cache.stats().sizeBytes).toBeLessThanOrEqual(MIB)
  })

  test('full for a while: it goes on afterwards', async () => {
    const disk = new FaultyDisk()
    const cache = await opened(disk)
    for (let round = 0; round < 20; round++) {
      disk.writeError = round % 3 === 1 ? 'ENOSPC' : undefined
      await put(cache, round * 16, round * 16 + 16, 1000)
    }
    disk.writeError = undefined
    expect(cache.stats().state).toBe('on')
    expect(await found(cache, 320, 1000)).toBeGreaterThan(100)
    expect(cache.stats().sizeBytes).toBeLessThanOrEqual(MIB)
  })

  test('EIO on reads: misses, then off with one error, and the disk is left alone', async () => {
    const disk = new FaultyDisk()
    const cache = await opened(disk)
    await put(cache, 0, 40, 1000)
    disk.readError = 'EIO'
    expect(await found(cache, 40, 1000)).toBe(0)
    expect(cache.stats()).toMatchObject({ state: 'off', failures: 8 })
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE', detail: { errno: 'EIO' } }])
    const { calls } = disk
    await put(cache, 40, 60, 1000)
    await found(cache, 60, 1000)
    expect(disk.calls).toBe(calls)
  })

  test('a segment that cannot be read when it is found is closed again', async () => {
    const first = await opened()
    await put(first, 0, 6)
    await first.close()
    const disk = new FaultyDisk()
    disk.readError = 'EIO'
    const cache = await opened(disk)
    expect(disk.calls).toBeGreaterThan(0)
    await cache.close()
    expect(disk.openFiles).toBe(0)
  })

  test('errors at random: never a wrong answer, never an error', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const disk = new FaultyDisk()
      const cache = await opened(disk)
      const random = new SeededRandom(seed)
      for (let round = 0; round < 40; round++) {
        disk.writeError = random.chance(0.2) ? 'EIO' : undefined
        disk.readError = random.chance(0.1) ? 'EIO' : undefined
        await put(cache, round * 16, round * 16 + 16, 1000)
        await found(cache, (round + 1) * 16, 1000)
        expect(cache.stats().sizeBytes).toBeLessThanOrEqual(MIB)
      }
      await cache.close()
    }
  })
})

/** The local disk, until it is told to fail. A failed write leaves half of its bytes behind. */
class FaultyDisk implements CacheDisk {
  writeError: string | undefined
  readError: string | undefined
  calls = 0
  openFiles = 0

  makeFolder = localCacheDisk.makeFolder.bind(localCacheDisk)
  list = localCacheDisk.list.bind(localCacheDisk)
  readSmall = localCacheDisk.readSmall.bind(localCacheDisk)
  createSmall = localCacheDisk.createSmall.bind(localCacheDisk)
  replaceSmall = localCacheDisk.replaceSmall.bind(localCacheDisk)
  remove = localCacheDisk.remove.bind(localCacheDisk)

  async openFile(path: string): Promise<CacheFile | undefined> {
    const file = await localCacheDisk.openFile(path)
    return file && this.#wrap(file)
  }

  async createFile(path: string): Promise<CacheFile> {
    return this.#wrap(await localCacheDisk.createFile(path))
  }

  #wrap(file: CacheFile): CacheFile {
    this.openFiles++
    return {
      sizeBytes: file.sizeBytes,
      read: (target, position) => {
        this.calls++
        if (this.readError !== undefined) throw Object.assign(new Error('injected'), { code: this.readError })
        return file.read(target, position)
      },
      write: async (bytes, position) => {
        this.calls++
        if (this.writeError === undefined) return file.write(bytes, position)
        await file.write(bytes.subarray(0, bytes.length >> 1), position)
        throw Object.assign(new Error('injected'), { code: this.writeError })
      },
      close: async () => {
        await file.close()
        this.openFiles--
      },
    }
  }
}
