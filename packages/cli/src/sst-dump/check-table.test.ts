// Invariant: a check finds every damage, whatever byte it is in, and finds nothing in a table that is whole.
import { utf8Encode } from '@moraine/base'
import { defaultSstWriterSettings, SstWriter, type SstWriterSettings } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import type { TableObject } from '../source/table-object.ts'
import { checkTable } from './check-table.ts'

function madeTable(settings: Partial<SstWriterSettings> = {}): Uint8Array {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, blockSizeBytes: 400, ...settings }, (chunk) => chunks.push(chunk))
  for (let i = 0; i < 60; i++) {
    const key = utf8Encode(`key${String(i).padStart(3, '0')}`)
    const value = utf8Encode(`value ${i} `.repeat(3))
    writer.add(key, 0, key.length, i + 1, 1, value, 0, value.length)
  }
  writer.addRangeTombstone(utf8Encode('key010'), utf8Encode('key020'), 70)
  writer.addRangeTombstone(utf8Encode('key015'), utf8Encode('kez'), 80)
  writer.finish()
  return new Uint8Array(Buffer.concat(chunks))
}

function tableOf(bytes: Uint8Array): TableObject {
  return {
    name: 'x.sst',
    label: 'x.sst',
    sizeBytes: bytes.length,
    open: () =>
      Promise.resolve({
        sizeBytes: bytes.length,
        read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  }
}

describe.each([
  ['LZ4', {}],
  ['no compression, no filter', { compression: 'none', filterBitsPerKey: 0 }],
] as [string, Partial<SstWriterSettings>][])('%s', (_, settings) => {
  const whole = madeTable(settings)

  test('a whole table has no problems', async () => {
    const verdict = await checkTable(tableOf(whole))
    expect(verdict).toMatchObject({ problems: [], entryCount: 62 })
    expect(verdict.blockCount).toBeGreaterThan(3)
  })

  test('pitfall 16: every flipped bit of every byte class is found', async () => {
    const missed: number[] = []
    for (let at = 0; at < whole.length; at++) {
      const flipped = whole.slice()
      flipped[at] = (flipped[at] as number) ^ (1 << at % 8)
      if ((await checkTable(tableOf(flipped))).problems.length === 0) missed.push(at)
    }
    expect(missed).toEqual([])
  })

  test('every truncation is found', async () => {
    for (let length = 0; length < whole.length; length += 7) {
      expect((await checkTable(tableOf(whole.slice(0, length)))).problems).not.toEqual([])
    }
  })
})

test('damage in data blocks is placed, and one bad block does not hide another', async () => {
  const table = madeTable({ compression: 'none' })
  const first = 10
  const later = 900
  for (const at of [first, later]) table[at] = (table[at] as number) ^ 0xff
  const { problems } = await checkTable(tableOf(table))
  expect(problems).toHaveLength(2)
  expect(problems[0]).toMatchObject({ offset: 0, verdict: 'damaged' })
  expect(problems[1]?.offset).toBeGreaterThan(later - 500)
  expect(problems[1]?.offset).toBeLessThanOrEqual(later)
  for (const { problem } of problems) expect(problem).toMatch(/^the checksum of data block \d is/)
})

test('a store that fails is a failure, not a finding', async () => {
  const table = tableOf(madeTable())
  await expect(checkTable({ ...table, open: () => Promise.reject(new Error('no network')) })).rejects.toThrow('no network')
})
