// Invariant: the report shows every figure of every subject, says why one is not there, and a ratio above 1 is in our favour.
import { describe, expect, it } from 'vitest'
import type { Subject } from '../subject/subject.ts'
import type { Workload } from '../workload/workload.ts'
import { formatFigure, formatRatio } from './format-figure.ts'
import { median } from './median.ts'
import { renderReport } from './render-report.ts'

function subject(name: string): Subject {
  return { name, remote: false, open: () => Promise.reject(new Error('not opened here')) }
}

const puts: Workload = {
  name: 'puts',
  figures: [
    { name: 'puts', unit: 'per-second', better: 'more', target: '>= 4x peer' },
    { name: 'delay', unit: 'ms', better: 'less', target: '' },
  ],
  needs: 'empty',
  measure: () => Promise.resolve({}),
}

describe('report', () => {
  it('has a row a figure, ratios, targets and reasons', () => {
    const text = renderReport(
      [puts],
      [subject('moraine'), subject('peer'), { name: 'gone', missing: 'no binary for this platform' }],
      [
        { workload: puts, subject: 'moraine', figures: { puts: 400_000, delay: 2 } },
        { workload: puts, subject: 'peer', failure: 'out of luck' },
      ],
    )
    const lines = text.split('\n')
    expect(lines[2]).toMatch(/^puts +400,000\/s +failed +absent +>= 4x peer$/)
    expect(lines[3]).toMatch(/^delay +2\.0 ms +failed +absent$/)
    expect(text).toContain('gone is absent: no binary for this platform')
    expect(text).toContain('puts failed on peer: out of luck')
  })

  it('turns ratios so that more is better', () => {
    expect(formatRatio(400, 100, 'more')).toBe('4.00x')
    expect(formatRatio(400, 100, 'less')).toBe('0.25x')
    expect(formatRatio(1, 0, 'more')).toBe('')
  })

  it('promises no more digits than were measured', () => {
    expect(formatFigure(123_456, 'per-second')).toBe('123,000/s')
    expect(formatFigure(0.01234, 'ms')).toBe('0.012 ms')
    expect(formatFigure(0, 'count')).toBe('0')
  })

  it('takes medians', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(median([])).toBeNaN()
  })
})
