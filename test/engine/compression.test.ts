// Invariant: every level is compressed as the options say, tables of any compression are read together, and what this
// runtime cannot do is refused at the opening.
import { zstdAvailable } from '@moraine/sstable'
import { MemoryObjectStore } from '@moraine/object-store'
import { type Compression, open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, QUIET } from './subject.ts'

const LAST = zstdAvailable ? 'zstd' : 'lz4'
const NAMES = { none: 'NoCompression', lz4: 'LZ4', zstd: 'ZSTD' }

/** The compressions that the tables of a store name in their properties. */
async function compressions(store: MemoryObjectStore): Promise<string[]> {
  const { objects } = await store.list('db/sst/')
  const found = new Set<string>()
  for (const { key } of objects) {
    const bytes = Buffer.from((await store.get(key))?.bytes ?? [])
    found.add(/rocksdb\.compression(NoCompression|LZ4|ZSTD)/.exec(bytes.toString('latin1'))?.[1] ?? 'unnamed')
  }
  return [...found].sort()
}

describe('compression', () => {
  test('goes by level', async () => {
    const store = new MemoryObjectStore()
    const location = { store, prefix: 'db' }
    const db = await open(location, { ...QUIET, compression: ['none', LAST] })
    const wanted: Record<string, string> = {}
    for (let round = 0; round < 2; round++) {
      for (let i = round; i < 100; i += 2) {
        wanted[`key-${i}`] = `${round} ${'value '.repeat(20)}`
        await db.put(`key-${i}`, wanted[`key-${i}`] as string)
      }
      await db.flush()
    }
    expect(await compressions(store)).toEqual(['NoCompression'])
    await db.compact()
    await db.put('later', '!')
    await db.flush()
    await db.close()
    const again = await open(location, { ...QUIET, compression: 'none' })
    expect(await contents(again)).toEqual({ ...wanted, later: '!' })
    await again.close()
    expect(await compressions(store)).toEqual(['NoCompression', NAMES[LAST]].sort())
  })

  const wrong: [string, unknown][] = [
    ['a word nobody knows', 'brotli'],
    ['an empty list', []],
    ['more words than levels', Array.from({ length: 8 }, () => 'lz4')],
    ['a list with a number', ['lz4', 3]],
    ...(zstdAvailable ? [] : ([['zstd where the runtime has none', ['lz4', 'zstd']]] as [string, unknown][])),
  ]
  test.each(wrong)('refuses %s', async (_, compression) => {
    const opening = open({ store: new MemoryObjectStore(), prefix: 'db' }, { compression: compression as Compression })
    await expect(opening).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining("option 'compression'") })
  })
})
