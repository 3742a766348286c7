// Invariant: memory holds memtables, caches and a few tables' worth of values, however many large values are written,
// overwritten, moved to other blob files and scanned.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { FileObjectStore } from '@moraine/object-store'
import { open } from 'moraine'
import { afterEach, beforeEach, expect, test } from 'vitest'

const MIB = 1024 * 1024
const VALUE_BYTES = 64 * 1024
const VALUES = 1024

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-memory-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('pitfall 23: writing and emptying ten times the budget in large values does not hold them', async () => {
  const db = await open(
    { store: new FileObjectStore({ root: folder, fsync: false }) },
    {
      wal: 'none',
      memtableSizeBytes: 2 * MIB,
      targetFileSizeBytes: 2 * MIB,
      levelBaseSizeBytes: 4 * MIB,
      blockCacheSizeBytes: 4 * MIB,
      blobThresholdBytes: 4096,
      blobGarbagePercent: 80,
      compression: 'none',
    },
  )
  const random = new SeededRandom(1)
  const value = random.fill(new Uint8Array(VALUE_BYTES))
  const before = process.memoryUsage().arrayBuffers
  let peak = 0
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
  }
  let moved = 0
  db.on('compaction', ({ blobBytes }) => {
    moved += blobBytes
    sample()
  })
  const written = 3 * VALUES * VALUE_BYTES
  for (let i = 0; i < 3 * VALUES; i++) {
    value[0] = i
    await db.put(`key-${String(random.below(VALUES)).padStart(6, '0')}`, value)
    if (i % 8 === 0) sample()
  }
  await db.compact()
  await db.compact()
  for await (const batch of db.scanBatches()) {
    expect(batch.length * VALUE_BYTES).toBeLessThan(8 * MIB)
    sample()
  }
  await db.close()
  // Values were moved, many times what may be in memory.
  expect(moved).toBeGreaterThan(32 * MIB)
  expect(written).toBeGreaterThan(3 * 60 * MIB)
  // Memtables, the cache, two tables' values and what the collector of the runtime has not looked at yet.
  expect(peak).toBeLessThan(96 * MIB)
}, 60_000)
