// Invariant: a watermark says that nothing at or before it is still to come, as long as records keep within the bound, and it
// waits for the slowest partition that counts.
import { isMoraineError } from 'moraine'
import { expect, test } from 'vitest'
import { Watermarks } from './watermarks.ts'

test('lags behind the greatest time by the bound, and one more, so that a record that lags by the bound is on time', () => {
  const watermarks = new Watermarks(1, 10)
  watermarks.observe(0, 100)
  watermarks.observe(0, 90)
  expect(watermarks.of([0])).toBe(89)
})

test('is that of the slowest partition, and there is none before all have begun', () => {
  const watermarks = new Watermarks(3, 0)
  watermarks.observe(0, 100)
  watermarks.observe(2, 50)
  expect(watermarks.of([0, 1, 2])).toBeUndefined()
  watermarks.observe(1, 70)
  expect(watermarks.of([0, 1, 2])).toBe(49)
})

test('does not wait for partitions that are idle or have ended', () => {
  const watermarks = new Watermarks(2, 0)
  watermarks.observe(0, 100)
  expect(watermarks.of([0])).toBe(99)
  expect(watermarks.of([])).toBeUndefined()
})

test('goes on from what a checkpoint has seen', () => {
  const before = new Watermarks(2, 5)
  before.observe(1, 40)
  expect(before.seen()).toEqual([null, 40])
  const after = new Watermarks(2, 5, before.seen())
  expect(after.of([1])).toBe(34)
  after.observe(1, 39)
  expect(after.of([1])).toBe(34)
})

test.each([1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses the time %s', (time) => {
  const watermarks = new Watermarks(1, 0)
  expect(() => watermarks.observe(0, time)).toThrow(/whole number of milliseconds/)
  expect(watermarks.of([0])).toBeUndefined()
})

test.each([-1, 0.5, Number.NaN])('refuses the bound %s', (bound) => {
  expect(() => new Watermarks(1, bound)).toThrow(expect.toSatisfy((error) => isMoraineError(error, 'INVALID')))
})
