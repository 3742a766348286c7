// Invariant: progress is one redrawn line on a terminal and a few plain lines elsewhere, and always ends at the truth.
import { describe, expect, it } from 'vitest'
import { ProgressBar } from './progress-bar.ts'

function drawing(isTTY: boolean): { bar: ProgressBar; text: () => string; passMs: (ms: number) => void } {
  let now = 0
  let text = ''
  const output = { isTTY, columns: 80, write: (part: string) => (text += part) }
  return { bar: new ProgressBar('loading', 1000, output, () => now), text: () => text, passMs: (ms) => (now += ms) }
}

describe('progress bar', () => {
  it('redraws one line on a terminal, never wider than it', () => {
    const { bar, text, passMs } = drawing(true)
    for (let done = 0; done <= 1000; done += 100) {
      bar.update(done)
      passMs(150)
    }
    bar.finish(1000)
    const draws = text().trimEnd().split('\r').slice(1)
    expect(draws.length).toBeGreaterThan(5)
    for (const line of draws) expect(line.replace('\u001b[K', '').length).toBeLessThanOrEqual(80)
    expect(draws.at(-1)).toContain('100 %  1,000 of 1,000')
    expect(text().endsWith('\n')).toBe(true)
  })

  it('prints plain lines now and then elsewhere', () => {
    const { bar, text, passMs } = drawing(false)
    for (let done = 0; done <= 1000; done += 100) {
      bar.update(done)
      passMs(500)
    }
    bar.finish(1000)
    expect(text()).not.toContain('\r')
    expect(text()).not.toContain('\u001b')
    expect(text().trimEnd().split('\n')).toEqual([
      'loading: 40 %  400 of 1,000, 200/s, 3 s left',
      'loading: 80 %  800 of 1,000, 200/s, 1 s left',
      'loading: 100 %  1,000 of 1,000, 182/s',
    ])
  })
})
