/** Invariant: however many writes come in one turn of the event loop, some of them soon wait for the next turn. */
import type { Clock } from '@moraine/base'
import { systemClock } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { LoopTurns } from './loop-turns.ts'

/** Time that passes by the write; turns that come when the test says so. */
function stepping(stepMs: number): { clock: Clock; turn: () => Promise<void>; pending: () => number } {
  let nowMs = 0
  let turns: (() => void)[] = []
  return {
    clock: {
      ...systemClock,
      monotonicMs: () => (nowMs += stepMs),
      yieldNow: () => new Promise((resolve) => turns.push(resolve)),
    },
    turn: async () => {
      for (const resolve of turns.splice(0)) resolve()
      await Promise.resolve()
      turns = []
    },
    pending: () => turns.length,
  }
}

describe('LoopTurns', () => {
  test('asks for a turn once the present one has lasted, and is content after it', async () => {
    const { clock, turn, pending } = stepping(1)
    const turns = new LoopTurns(clock)
    const waits = Array.from({ length: 200 }, () => turns.passed(1))
    const first = waits.findIndex((wait) => wait !== undefined)
    expect(first).toBeGreaterThan(16)
    expect(waits.slice(first).every((wait) => wait !== undefined && wait === waits[first])).toBe(true)
    expect(pending()).toBe(1)
    await turn()
    await waits[first]
    expect(turns.passed(1)).toBeUndefined()
  })

  test('counts the writes of a batch', () => {
    const { clock } = stepping(2)
    const turns = new LoopTurns(clock)
    expect(Array.from({ length: 4 }, () => turns.passed(1000)).filter((wait) => wait !== undefined)).not.toEqual([])
  })

  test('asks for nothing while turns are short', () => {
    const { clock } = stepping(0)
    const turns = new LoopTurns(clock)
    expect(Array.from({ length: 1000 }, () => turns.passed(1)).every((wait) => wait === undefined)).toBe(true)
  })
})
