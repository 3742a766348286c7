// Invariant: a flush and a checkpoint count every write that was made before them, also those that were held back because
// memory was full, and a checkpoint counts none that was made after it.
import { MemoryObjectStore } from '@moraine/object-store'
import { open, openReader } from 'moraine'
import { expect, test } from 'vitest'

const VALUE = 'v'.repeat(1000)

for (const wal of ['none', 'object-store'] as const) {
  test(`a flush waits for writes that are held back (wal: ${wal})`, async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'db' }, { wal, memtableSizeBytes: 256 * 1024, maxSealedMemtables: 1 })
    const puts = Array.from({ length: 3000 }, (_, i) => db.put(`key-${i}`, VALUE))
    expect(db.stats().writes.held).toBeGreaterThan(0)
    await db.flush()
    expect(db.stats().flushedSequence).toBe(3000)
    await Promise.all(puts)
    await db.close()
  })

  test(`a checkpoint stands between the writes before and after it (wal: ${wal})`, async () => {
    const store = new MemoryObjectStore()
    const db = await open({ store, prefix: 'db' }, { wal, memtableSizeBytes: 256 * 1024, maxSealedMemtables: 1 })
    const before = Array.from({ length: 3000 }, (_, i) => db.put(`key-${i}`, VALUE))
    expect(db.stats().writes.held).toBeGreaterThan(0)
    const taking = db.checkpoint({ name: 'between' })
    const after = Array.from({ length: 500 }, (_, i) => db.put(`late-${i}`, VALUE))
    await taking
    const reader = await openReader({ store, prefix: 'db' }, { checkpoint: 'between' })
    let entries = 0
    for await (const batch of reader.scanBatches()) entries += batch.length
    expect(entries).toBe(3000)
    await reader.close()
    await Promise.all([...before, ...after])
    await db.close()
  })
}

test('a checkpoint that cannot be taken does not disturb the writes around it', async () => {
  const db = await open({ store: new MemoryObjectStore(), prefix: 'db' }, { wal: 'none', memtableSizeBytes: 256 * 1024, maxSealedMemtables: 1 })
  await db.checkpoint({ name: 'taken' })
  const before = Array.from({ length: 3000 }, (_, i) => db.put(`key-${i}`, VALUE))
  const refused = db.checkpoint({ name: 'taken' })
  const after = db.put('after', VALUE)
  await expect(refused).rejects.toMatchObject({ code: 'CONFLICT' })
  await Promise.all([...before, after])
  expect(await db.get('after')).toBeDefined()
  await db.close()
})
