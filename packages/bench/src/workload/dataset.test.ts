// Invariant: every entry has its own key of 20 bytes and its value of 100, the same in every run; absent keys are absent.
import { describe, expect, it } from 'vitest'
import { Dataset, keySizeBytes, valueSizeBytes } from './dataset.ts'

describe('dataset', () => {
  it('has unique keys, and absent keys beside them', () => {
    const dataset = new Dataset()
    const decoder = new TextDecoder()
    const keys = new Set<string>()
    for (let i = 0; i < 50_000; i++) {
      const key = dataset.key(i)
      expect(key.length).toBe(keySizeBytes)
      keys.add(decoder.decode(key))
    }
    expect(keys.size).toBe(50_000)
    for (let i = 0; i < 50_000; i++) expect(keys.has(decoder.decode(dataset.absentKey(i)))).toBe(false)
  })

  it('is the same in every run', () => {
    const [a, b] = [new Dataset(), new Dataset()]
    for (const i of [0, 1, 99_999, 12_345_678]) {
      expect(a.entry(i)).toEqual(b.entry(i))
      expect(a.value(i).length).toBe(valueSizeBytes)
    }
  })
})
