// Invariant: every reference is in exactly one group of its own file, which covers its record; no group is larger than
// allowed unless one record alone is; records that lie far apart are not read together.
import { SeededRandom } from '@moraine/base'
import { expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import { blobIdOf, newBlobSeed } from '../layout/object-names.ts'
import type { BlobReference } from './blob-reference.ts'
import { coalesceReferences } from './coalesce-references.ts'

const SEED = newBlobSeed(1 as Epoch, new SeededRandom(1))

function reference(file: number, offset: number, recordBytes: number): BlobReference {
  return { id: blobIdOf(SEED, file), offset, recordBytes, valueBytes: recordBytes, crc32c: 0 }
}

test('neighbours share a request, in whatever order they are asked for', () => {
  const groups = coalesceReferences([reference(1, 3000, 1000), reference(1, 1000, 1000), reference(2, 0, 10), reference(1, 2000, 1000)], 1e6)
  expect(groups.map(({ id, offset, length, references }) => [id, offset, length, references.length])).toEqual([
    [blobIdOf(SEED, 1), 1000, 3000, 3],
    [blobIdOf(SEED, 2), 0, 10, 1],
  ])
})

test('a wide gap is not read', () => {
  expect(coalesceReferences([reference(1, 0, 100), reference(1, 1_000_000, 100)], 1e9)).toHaveLength(2)
})

test('any references', () => {
  const random = new SeededRandom(2)
  for (let round = 0; round < 200; round++) {
    const most = 1 + random.below(300_000)
    const references = Array.from({ length: random.below(60) }, () => reference(random.below(3), random.below(1_000_000), 1 + random.below(20_000)))
    const groups = coalesceReferences(references, most)
    const grouped = groups.flatMap((group) => group.references)
    expect(new Set(grouped)).toEqual(new Set(references))
    expect(grouped).toHaveLength(references.length)
    for (const group of groups) {
      const largest = Math.max(...group.references.map(({ recordBytes }) => recordBytes))
      expect(group.length).toBeLessThanOrEqual(Math.max(most, largest))
      for (const { id, offset, recordBytes } of group.references) {
        expect(id).toBe(group.id)
        expect(offset).toBeGreaterThanOrEqual(group.offset)
        expect(offset + recordBytes).toBeLessThanOrEqual(group.offset + group.length)
      }
    }
  }
})
