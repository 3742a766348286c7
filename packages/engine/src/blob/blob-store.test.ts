// Invariant: the store gives the value that a reference names or an error; concurrent readers of a value share one
// request, a scan's neighbours share one as well, and what is cached stays within the byte budget.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import { describe, expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { blobIdOf, blobName, newBlobSeed } from '../layout/object-names.ts'
import type { BlobLink } from '../manifest/blob-link.ts'
import { BlockCache } from '../table/block-cache.ts'
import { BlobFileWriter } from './blob-file-writer.ts'
import type { BlobReference } from './blob-reference.ts'
import { BlobStore } from './blob-store.ts'
import { BlobWindows } from './blob-windows.ts'

/** Vitest compares large arrays element by element, which takes seconds. */
function same(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}

interface Setting {
  readonly store: MemoryObjectStore
  readonly cache: BlockCache
  readonly blobs: BlobStore
  readonly link: BlobLink
  readonly references: BlobReference[]
  readonly values: Uint8Array[]
  readonly gets: { range: unknown }[]
}

async function setting(count: number, valueBytes: number, budgetBytes = 1e9): Promise<Setting> {
  const random = new SeededRandom(1)
  const store = new MemoryObjectStore()
  const values = Array.from({ length: count }, () => random.fill(new Uint8Array(valueBytes)))
  const writer = new BlobFileWriter(blobIdOf(newBlobSeed(1 as Epoch, random), 1))
  const references = values.map((value) => writer.add(value, 0, value.length, 'lz4'))
  const { id, parts, sizeBytes } = writer.finish()
  await store.put(blobName(id), parts)
  const gets: { range: unknown }[] = []
  const counted: Pick<ObjectStore, 'get'> = {
    get: (key, options) => {
      gets.push({ range: options?.range })
      return store.get(key, options)
    },
  }
  const cache = new BlockCache(budgetBytes)
  const blobs = new BlobStore(() => counted, cache)
  const link = { id, sizeBytes, liveBytes: sizeBytes }
  blobs.retain([link])
  return { store, cache, blobs, link, references, values, gets }
}

describe('BlobStore', () => {
  test('concurrent readers of a value share one request, later ones need none', async () => {
    const { blobs, references, values, gets } = await setting(3, 2000)
    const second = references[1] as BlobReference
    expect(blobs.resident(second)).toBeUndefined()
    const loaded = await Promise.all([blobs.load(second), blobs.load(second), blobs.load(second)])
    for (const value of [...loaded, await blobs.load(second), blobs.resident(second)]) expect(value).toEqual(values[1])
    expect(gets).toEqual([{ range: { offset: second.offset, length: second.recordBytes } }])
  })

  test('the values of a scan are fetched together, but for those that are there', async () => {
    const { blobs, references, values, gets } = await setting(40, 3000)
    await blobs.load(references[5] as BlobReference)
    const shuffled = references.toReversed()
    expect(await blobs.loadMany(shuffled)).toEqual(values.toReversed())
    expect(gets).toHaveLength(2)
    expect(blobs.stats()).toEqual({ valueLoads: 1, groupLoads: 1 })
  })

  test('pitfall 23: a value does not keep the download alive that it came with', async () => {
    const { blobs, references } = await setting(50, 5000)
    for (const value of await blobs.loadMany(references)) expect(value.buffer.byteLength).toBeLessThan(5200)
  })

  test('values stay within the byte budget of the cache, and what is pushed out is fetched again', async () => {
    const { blobs, cache, references, values } = await setting(100, 4000, 50_000)
    for (const [i, reference] of references.entries()) expect(same(await blobs.load(reference), values[i])).toBe(true)
    expect(cache.sizeBytes).toBeLessThanOrEqual(50_000)
    expect(references.filter((reference) => blobs.resident(reference) !== undefined).length).toBe(cache.blockCount)
    for (const [i, reference] of references.entries()) expect(same(await blobs.load(reference), values[i])).toBe(true)
  })

  test('a scan pushes nothing out', async () => {
    const { blobs, references, cache } = await setting(100, 4000, 50_000)
    const hot = references.slice(0, 5)
    for (const reference of hot) await blobs.load(reference)
    await blobs.loadMany(references)
    for (const reference of hot) expect(blobs.resident(reference)).toBeDefined()
    expect(cache.evictions).toBe(0)
  })

  test('a file is forgotten with the last table that refers to it', async () => {
    const { blobs, cache, link, references } = await setting(3, 2000)
    const first = references[0] as BlobReference
    blobs.retain([link])
    await blobs.load(first)
    blobs.release([link])
    expect(blobs.resident(first)).toBeDefined()
    blobs.release([link])
    expect(cache.sizeBytes).toBe(0)
    expect(() => blobs.load(first)).toThrow(/does not list/)
  })

  test('pitfall 19: a missing file says which it is', async () => {
    const { store, blobs, link, references } = await setting(3, 2000)
    await store.delete(blobName(link.id))
    const missing = { code: 'CORRUPTION', detail: { file: blobName(link.id), missing: true } }
    await expect(blobs.load(references[0] as BlobReference)).rejects.toMatchObject(missing)
    await expect(blobs.loadMany(references)).rejects.toMatchObject(missing)
  })

  test('a file of another size is not the file', async () => {
    const { store, blobs, link, references } = await setting(3, 2000)
    const body = await store.get(blobName(link.id))
    await store.put(blobName(link.id), [body?.bytes as Uint8Array, new Uint8Array(1)])
    await expect(blobs.load(references[0] as BlobReference)).rejects.toThrow(/not the file that was written/)
  })
})

describe('BlobWindows', () => {
  test('records in the order of the file cost a request for each window', async () => {
    const { blobs, references, values, gets } = await setting(1000, 4000)
    const windows = new BlobWindows(blobs)
    for (const [i, reference] of references.entries()) expect(same(await windows.value(reference), values[i])).toBe(true)
    expect(gets.length).toBeLessThan(8)
  })

  test('any order gives the same values', async () => {
    const { blobs, references, values } = await setting(300, 9000)
    const windows = new BlobWindows(blobs)
    const random = new SeededRandom(4)
    for (let i = 0; i < 50; i++) {
      const at = random.below(references.length)
      expect(same(await windows.value(references[at] as BlobReference), values[at])).toBe(true)
    }
  })
})
