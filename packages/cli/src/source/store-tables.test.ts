// Invariant: a table in a bucket is found by its name or by its folder, and looking at it reads a part of it only.
import { utf8Encode } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { defaultSstWriterSettings, SstWriter } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../terminal/usage-error.ts'
import { tablesAt } from './store-tables.ts'
import { withReader } from './with-reader.ts'

function tableBytes(): Uint8Array {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, compression: 'none' }, (chunk) => chunks.push(chunk))
  const value = new Uint8Array(1000)
  for (let i = 0; i < 2000; i++) {
    const key = utf8Encode(`key${String(i).padStart(5, '0')}`)
    writer.add(key, 0, key.length, i + 1, 1, value, 0, value.length)
  }
  writer.finish()
  return new Uint8Array(Buffer.concat(chunks))
}

describe('tables of a store', async () => {
  const store = new CountingObjectStore(new MemoryObjectStore())
  const bytes = tableBytes()
  await store.put('db/identity', utf8Encode('x'))
  for (const name of ['db/sst/b.sst', 'db/sst/a.sst', 'db/sst/other.txt', 'plain/deep/c.sst']) await store.put(name, bytes)
  await store.put('empty/identity', utf8Encode('x'))

  test.each([
    ['db/sst/a.sst', ['a.sst'], true],
    ['db', ['sst/a.sst', 'sst/b.sst'], false],
    ['plain', ['deep/c.sst'], false],
    ['', ['db/sst/a.sst', 'db/sst/b.sst', 'plain/deep/c.sst'], false],
    ['empty', [], false],
  ])('%j', async (prefix, labels, single) => {
    const source = await tablesAt(store, prefix, prefix !== '', `s3://x/${prefix}`)
    expect(source.tables.map(({ label }) => label)).toEqual(labels)
    expect(source.single).toBe(single)
  })

  test('a place that holds nothing is misuse', async () => {
    await expect(tablesAt(store, 'nothing', true, 's3://x/nothing')).rejects.toThrow(UsageError)
  })

  test('properties are read from the tail alone', async () => {
    const { tables } = await tablesAt(store, 'db/sst/a.sst', true, 's3://x/db/sst/a.sst')
    const before = store.snapshot().operations.get
    const entries = await withReader(tables[0] as (typeof tables)[0], (reader) =>
      Promise.resolve(reader.metadata.properties.entryCount),
    )
    const after = store.snapshot().operations.get
    expect(entries).toBe(2000)
    expect(after.requests - before.requests).toBeLessThanOrEqual(2)
    expect(after.bytesRead - before.bytesRead).toBeLessThan(bytes.length / 10)
  })

  test('a table that vanished is said to be gone', async () => {
    await store.put('late/x.sst', bytes)
    const { tables } = await tablesAt(store, 'late', false, 's3://x/late')
    await store.delete('late/x.sst')
    await expect(withReader(tables[0] as (typeof tables)[0], () => Promise.resolve())).rejects.toThrow(/is gone/)
  })
})
