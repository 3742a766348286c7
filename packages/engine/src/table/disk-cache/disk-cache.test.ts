/**
 * Invariant: what the cache gives out is what it was given for those bytes of that file; its files are never larger than the
 * budget; what was written is there again after a restart, clean or not; two users of a folder never share a file.
 */
import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MoraineError, SeededRandom } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FileId } from '../../layout/object-names.ts'
import { DiskCache } from './disk-cache.ts'

const MIB = 1024 * 1024
const DATABASE = 'a'.repeat(32)

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

async function opened(sizeBytes = MIB, database = DATABASE): Promise<DiskCache> {
  const cache = new DiskCache({ folder, sizeBytes, random: new SeededRandom(caches.length), onError: (error) => errors.push(error) })
  caches.push(cache)
  await cache.open(database)
  return cache
}

const fileId = (n: number): FileId => `${String(n).padStart(12, '0')}-${'0123456789ab'.repeat(2)}` as FileId
const bytesOf = (file: number, block: number, length = 4096): Uint8Array =>
  new SeededRandom(file * 10_000 + block).fill(new Uint8Array(length))

/** Offers blocks and waits for them, so that none is dropped. */
async function put(cache: DiskCache, file: number, blocks: number, length = 4096): Promise<void> {
  for (let block = 0; block < blocks; block++) {
    cache.offer(fileId(file), block * length, bytesOf(file, block, length))
    if (block % 16 === 15) await cache.drained()
  }
  await cache.drained()
}

/** How many of the blocks are there; those must be the right ones. */
async function found(cache: DiskCache, file: number, blocks: number, length = 4096): Promise<number> {
  let count = 0
  for (let block = 0; block < blocks; block++) {
    const bytes = await cache.read(fileId(file), block * length, length)
    if (bytes === undefined) continue
    expect(Buffer.compare(bytes, bytesOf(file, block, length))).toBe(0)
    count++
  }
  return count
}

async function sizeOnDisk(): Promise<number> {
  let size = 0
  for (const name of await readdir(folder, { recursive: true })) {
    if (name.endsWith('.seg')) size += (await stat(join(folder, name))).size
  }
  return size
}

test('gives back what it was given, and nothing for other bytes of the file', async () => {
  const cache = await opened()
  await put(cache, 1, 20)
  expect(await found(cache, 1, 20)).toBe(20)
  expect(await found(cache, 2, 20)).toBe(0)
  expect(await cache.read(fileId(1), 1, 4096)).toBeUndefined()
  expect(cache.stats()).toMatchObject({ state: 'on', blocks: 20, hits: 20, misses: 21, writtenBlocks: 20, failures: 0 })
})

describe('after a restart', () => {
  test('everything is there', async () => {
    const cache = await opened()
    await put(cache, 1, 60)
    await put(cache, 2, 30, 333)
    await cache.close()
    const again = await opened()
    expect(again.stats()).toMatchObject({ state: 'on', blocks: 90 })
    expect(await found(again, 1, 60)).toBe(60)
    expect(await found(again, 2, 30, 333)).toBe(30)
  })

  test('also what a killed process left without an index', async () => {
    const killed = await opened()
    await put(killed, 1, 20)
    // Another lane, because this process is not really gone; the killed one's files are put there.
    const lane = join(folder, 'lane-1')
    await cp(join(folder, 'lane-0'), lane, { recursive: true })
    await rm(join(lane, 'lock'))
    const again = await opened()
    expect(await found(again, 1, 20)).toBe(20)
  })

  test('files that left the database meanwhile are forgotten', async () => {
    const cache = await opened()
    await put(cache, 1, 10)
    await put(cache, 2, 10)
    cache.forget(fileId(1))
    expect(await found(cache, 1, 10)).toBe(0)
    await cache.close()
    const again = await opened()
    again.retain(new Set([fileId(2)]))
    expect(await found(again, 1, 10)).toBe(0)
    expect(await found(again, 2, 10)).toBe(10)
  })

  test('a smaller budget holds from the opening on', async () => {
    const cache = await opened(4 * MIB)
    await put(cache, 1, 800)
    await cache.close()
    expect(await sizeOnDisk()).toBeGreaterThan(2 * MIB)
    const again = await opened(MIB)
    expect(again.stats().sizeBytes).toBeLessThanOrEqual(MIB)
    expect(await sizeOnDisk()).toBe(again.stats().sizeBytes)
    expect(await found(again, 1, 800)).toBe(again.stats().blocks)
  })
})

describe('the budget', () => {
  test('holds at every moment of a churn of twenty times its size, and is counted exactly', async () => {
    const cache = await opened()
    for (let file = 1; file <= 40; file++) {
      for (let block = 0; block < 128; block += 16) {
        for (let i = block; i < block + 16; i++) cache.offer(fileId(file), i * 4096, bytesOf(file, i))
        await cache.drained()
        expect(await sizeOnDisk()).toBe(cache.stats().sizeBytes)
        expect(cache.stats().sizeBytes).toBeLessThanOrEqual(MIB)
      }
    }
    expect(cache.stats().evictedBlocks).toBeGreaterThan(128 * 30)
    expect(await found(cache, 40, 128)).toBe(128)
    expect(cache.stats()).toMatchObject({ failures: 0, droppedWrites: 0 })
  })

  test('blocks that are read survive the turns of the ring, those that are not go', async () => {
    const cache = await opened()
    await put(cache, 1, 10)
    await put(cache, 2, 10)
    for (let file = 10; file < 40; file++) {
      expect(await found(cache, 1, 10)).toBe(10)
      await put(cache, file, 64)
    }
    expect(await found(cache, 1, 10)).toBe(10)
    expect(await found(cache, 2, 10)).toBe(0)
    expect(cache.stats().copiedBlocks).toBeGreaterThan(10)
  })

  test('blocks too large for it are not written', async () => {
    const cache = await opened()
    await put(cache, 1, 2, MIB / 8)
    expect(cache.stats()).toMatchObject({ blocks: 0, droppedWrites: 2 })
    await put(cache, 2, 30, 50_000)
    expect(await found(cache, 2, 30, 50_000)).toBeGreaterThan(8)
    expect(cache.stats().sizeBytes).toBeLessThanOrEqual(MIB)
  })

  test('what waits to be written is bounded; the rest is dropped', async () => {
    const cache = await opened(64 * MIB)
    const bytes = new Uint8Array(MIB)
    for (let i = 0; i < 30; i++) cache.offer(fileId(1), i * MIB, bytes)
    await cache.drained()
    const { writtenBlocks, droppedWrites } = cache.stats()
    expect(writtenBlocks + droppedWrites).toBe(30)
    expect(writtenBlocks).toBeLessThanOrEqual(8)
    expect(writtenBlocks).toBeGreaterThan(3)
  })
})

describe('a folder', () => {
  test('of another database is refused, and left alone', async () => {
    const cache = await opened()
    await put(cache, 1, 5)
    await cache.close()
    await expect(opened(MIB, 'b'.repeat(32))).rejects.toMatchObject({ code: 'INVALID', detail: { found: DATABASE } })
    expect(await found(await opened(), 1, 5)).toBe(5)
  })

  test('serves several users at once, each from files of its own; a free lane is taken over', async () => {
    const [first, second] = [await opened(), await opened()]
    await put(first, 1, 5)
    await put(second, 2, 5)
    expect([await found(first, 2, 5), await found(second, 1, 5)]).toEqual([0, 0])
    expect([await found(first, 1, 5), await found(second, 2, 5)]).toEqual([5, 5])
    await first.close()
    expect(await found(await opened(), 1, 5)).toBe(5)
    expect((await readdir(folder)).sort()).toEqual(['lane-0', 'lane-1', 'moraine-cache'])
  })

  test('with a lock of a process that is gone is free', async () => {
    const cache = await opened()
    await put(cache, 1, 5)
    await cache.close()
    for (const lock of [`${process.pid}\n0\n${hostname()}\n`, `${process.ppid}\nanother start\n${hostname()}\n`, 'garbage', '']) {
      await writeFile(join(folder, 'lane-0', 'lock'), lock)
      const again = await opened()
      expect(await found(again, 1, 5)).toBe(5)
      await again.close()
      expect(existsSync(join(folder, 'lane-0', 'lock'))).toBe(false)
    }
  })

  test('that cannot be made: the cache is off, with one error', async () => {
    await writeFile(join(folder, 'file'), '')
    const cache = new DiskCache({ folder: join(folder, 'file', 'in'), sizeBytes: MIB, random: new SeededRandom(1), onError: (error) => errors.push(error) })
    await cache.open(DATABASE)
    await put(cache, 1, 5)
    expect(await found(cache, 1, 5)).toBe(0)
    expect(cache.stats()).toMatchObject({ state: 'off', failures: 1, sizeBytes: 0 })
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE' }])
    await cache.close()
  })
})
