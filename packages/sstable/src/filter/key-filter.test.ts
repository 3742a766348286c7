// Invariant: a filter never denies a key that it holds, its share of false positives is what its size promises, and both
// survive its encoded form.
import { utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { ChecksumType } from '../format/checksum.ts'
import { openBlock } from '../format/block-trailer.ts'
import { decodeFilter, encodeFilter } from './filter-codec.ts'
import { HashCollector } from './hash-collector.ts'
import { filterHash, KeyFilter } from './key-filter.ts'

function hashOf(key: string): number {
  const bytes = utf8Encode(`..${key}..`)
  return filterHash(bytes, 2, bytes.length - 2)
}

function reopened(filter: KeyFilter): KeyFilter {
  const block = encodeFilter(filter)
  return decodeFilter(openBlock(block, 0, block.length, ChecksumType.crc32c, 'f', 'the filter'), 'f')
}

describe.each([
  [1, 10, 0.01],
  [100, 10, 0.02],
  [20_000, 10, 0.012],
  [20_000, 5, 0.12],
  [20_000, 20, 0.0006],
])('%i keys at %i bits', (count, bits, rate) => {
  const hashes = new HashCollector()
  for (let i = 0; i < count; i++) hashes.add(hashOf(`key${i}`))
  const filter = reopened(hashes.buildFilter(bits))

  test('holds every key', () => {
    let denied = 0
    for (let i = 0; i < count; i++) if (!filter.mayContain(hashOf(`key${i}`))) denied++
    expect(denied).toBe(0)
  })

  test('lets few others through', () => {
    let falsePositives = 0
    for (let i = 0; i < 50_000; i++) if (filter.mayContain(hashOf(`other${i}`))) falsePositives++
    expect(falsePositives / 50_000).toBeLessThan(rate)
  })

  test('has the size that was asked for', () => {
    expect(Math.abs(filter.memoryBytes - Math.max(64, (count * bits) / 8))).toBeLessThanOrEqual(2)
  })
})

test('the calls of bloom-filters agree with the hashed ones', () => {
  const filter = KeyFilter.forKeys(10, 10)
  filter.add('text')
  filter.add(Buffer.from('bytes'))
  expect([filter.has('text'), filter.has('bytes'), filter.has('neither')]).toEqual([true, true, false])
  expect(filter.mayContain(hashOf('text'))).toBe(true)
})

// A changed hash would make every filter already written deny the keys that its table holds.
test('the encoded form does not change', () => {
  const filter = KeyFilter.forKeys(3, 10)
  for (const key of ['a', 'b', 'c']) filter.addHash(hashOf(key))
  expect(Buffer.from(encodeFilter(filter)).toString('hex')).toMatchInlineSnapshot(`"0761726f6d08020000000000000200000000200000000000000000000900040002100100000000000000800000000000080000000000000000000000008000240010000000000080a424010000000009eb1d24"`)
})
