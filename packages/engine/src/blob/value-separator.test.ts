// Invariant: what goes with a table is all that its references name, each file with exactly the bytes the table refers to;
// values in files that are to be collected move, all others stay where they are.
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { blobName, type FileId, newBlobSeed } from '../layout/object-names.ts'
import { BlockCache } from '../table/block-cache.ts'
import type { BlobReference } from './blob-reference.ts'
import { BlobStore } from './blob-store.ts'
import { BlobWindows } from './blob-windows.ts'
import { NO_TABLE_BLOBS, type SeparationSettings, type TableBlobs, ValueSeparator } from './value-separator.ts'

const random = new SeededRandom(1)
const settings = (relocate: readonly FileId[] = []) =>
  ({ thresholdBytes: 1000, seed: newBlobSeed(3 as Epoch, random), relocate }) as const

async function stored(separator: ValueSeparator, blobs: BlobStore, store: MemoryObjectStore): Promise<TableBlobs> {
  const taken = separator.take()
  for (const { id, parts } of taken.files) await store.put(blobName(id), parts)
  blobs.retain(taken.links)
  return taken
}

/** A separator for a memtable: nothing to read. */
const fresh = (more: Partial<SeparationSettings> = {}): ValueSeparator =>
  new ValueSeparator({ ...settings(), ...more }, [], new BlobWindows(new BlobStore(() => new MemoryObjectStore(), new BlockCache(0))))

/** As a merge does it: fetched first, if need be. */
async function passed(separator: ValueSeparator, reference: BlobReference): Promise<BlobReference> {
  await separator.prepare(reference, false)
  return separator.pass(reference)
}

test('values from the threshold on are separated', () => {
  const separator = fresh()
  expect([0, 999, 1000, 5000].map((bytes) => separator.separates('', bytes))).toEqual([false, false, true, true])
  expect(fresh({ thresholdBytes: 0 }).separates('', 1e9)).toBe(false)
  const own = fresh({ thresholds: [['large', 300], ['never', 0]] })
  expect(['', 'large', 'never'].map((keyspace) => [299, 300, 1000].map((bytes) => own.separates(keyspace, bytes)))).toEqual([
    [false, false, true],
    [false, true, true],
    [false, false, false],
  ])
  expect(separator.take()).toBe(NO_TABLE_BLOBS)
})

test('each table has a file of its own; references to older files are passed on and counted, relocated ones move', async () => {
  const store = new MemoryObjectStore()
  const blobs = new BlobStore(() => store, new BlockCache(0))
  const values = Array.from({ length: 6 }, () => random.fill(new Uint8Array(1500)))
  const first = fresh()
  const write = (separator: ValueSeparator, i: number): BlobReference => separator.write(values[i] as Uint8Array, 0, 1500, 'none')
  const [a, b] = [write(first, 0), write(first, 1)]
  const one = await stored(first, blobs, store)
  const [c, d] = [write(first, 2), write(first, 3)]
  const two = await stored(first, blobs, store)
  expect(new Set([a.id, b.id, c.id, d.id]).size).toBe(2)
  expect(one.links).toEqual([{ id: a.id, sizeBytes: one.files[0]?.sizeBytes, liveBytes: a.recordBytes + b.recordBytes }])

  const origin = { databaseId: 'other', place: { kind: 'sibling', prefix: 'x' } } as const
  const known = [...one.links, ...two.links.map((link) => ({ ...link, origin }))]
  const second = new ValueSeparator(settings([a.id]), known, new BlobWindows(blobs))
  const moved = await passed(second, b)
  const stays = await passed(second, d)
  const added = write(second, 5)
  expect(stays).toBe(d)
  expect(moved.id).toBe(added.id)
  const three = await stored(second, blobs, store)
  expect(three.files.map(({ id }) => id)).toEqual([added.id])
  expect(three.links).toEqual([
    { id: added.id, sizeBytes: three.files[0]?.sizeBytes, liveBytes: moved.recordBytes + added.recordBytes },
    { id: d.id, origin, sizeBytes: two.files[0]?.sizeBytes, liveBytes: d.recordBytes },
  ])
  expect(await blobs.loadMany([moved, stays, added])).toEqual([values[1], values[3], values[5]])
  // What comes later in the file is in the window already.
  const third = new ValueSeparator(settings([a.id]), known, new BlobWindows(blobs))
  expect(third.prepare(d, false)).toBeUndefined()
  await third.prepare(a, false)
  expect(third.prepare(b, true)).toBeUndefined()
  expect(Buffer.compare(third.valueOf(b), values[1] as Uint8Array)).toBe(0)
})

test('a reference to a file that the inputs do not list is an error', () => {
  const first = fresh()
  const reference = first.write(new Uint8Array(2000), 0, 2000, 'lz4')
  const second = fresh()
  second.pass(reference)
  expect(() => second.take()).toThrow(/does not list/)
})
