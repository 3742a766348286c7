// Invariant: a bar appears only on a terminal, only for work that takes a while, and leaves its line clean.
import type { Clock } from '@moraine/base'
import { expect, test } from 'vitest'
import { ProgressBar } from './progress-bar.ts'

function scene(isTTY: boolean): { bar: ProgressBar; written: string[]; pass: (ms: number) => void } {
  let now = 1000
  const written: string[] = []
  const clock = { monotonicMs: () => now } as Clock
  const bar = new ProgressBar('Checking', 1_000_000, { isTTY, columns: 100, write: (text) => written.push(text) }, clock)
  return { bar, written, pass: (ms) => (now += ms) }
}

test('short work shows nothing', () => {
  const { bar, written, pass } = scene(true)
  pass(100)
  bar.add(1_000_000)
  bar.clear()
  expect(written).toEqual([])
})

test('long work is redrawn in place and cleared at the end', () => {
  const { bar, written, pass } = scene(true)
  pass(500)
  bar.add(250_000)
  bar.add(1)
  pass(500)
  bar.add(249_999)
  bar.clear()
  expect(written).toHaveLength(3)
  expect(written[0]).toMatch(/^\rChecking {2}█+░+ {3}25 % {2}250\.0 kB of 1\.0 MB, 500\.0 kB\/s, 2 s left.\[K$/)
  expect(written[1]).toContain(' 50 %')
  expect(written[2]).toBe('\r\u001b[K')
})

test('nothing is drawn where there is no terminal', () => {
  const { bar, written, pass } = scene(false)
  pass(5000)
  bar.add(500_000)
  bar.clear()
  expect(written).toEqual([])
})
