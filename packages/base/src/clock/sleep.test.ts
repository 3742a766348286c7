// Invariant: a sleep ends at its time or at its signal, and leaves nothing behind; however many share a signal, it has one
// listener, so that Node.js has no leak to warn of.
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { type Clock, sleep, systemClock } from './clock.ts'

/** Fires its timers when it is told to. */
class HandClock implements Clock {
  readonly timers = new Set<() => void>()
  nowMs = (): number => 0
  monotonicMs = (): number => 0
  yieldNow = (): Promise<void> => systemClock.yieldNow()

  setTimer(_delayMs: number, fire: () => void): { cancel: () => void } {
    this.timers.add(fire)
    return { cancel: () => this.timers.delete(fire) }
  }
}

test('many sleeps on one signal have one listener, and none when they have ended', async () => {
  const clock = new HandClock()
  const { signal } = new AbortController()
  const sleeps = Array.from({ length: 20 }, () => sleep(clock, 5, signal))
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  for (const fire of clock.timers) fire()
  await Promise.all(sleeps)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('all of them end when the signal fires, and their timers go', async () => {
  const clock = new HandClock()
  const abort = new AbortController()
  const sleeps = Array.from({ length: 20 }, () => sleep(clock, 5, abort.signal))
  abort.abort()
  for (const slept of sleeps) await expect(slept).rejects.toMatchObject({ code: 'ABORTED' })
  expect(clock.timers.size).toBe(0)
  await expect(sleep(clock, 5, abort.signal)).rejects.toMatchObject({ code: 'ABORTED' })
})
