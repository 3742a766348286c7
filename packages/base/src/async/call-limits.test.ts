// Invariant: a call ends at its limit with ABORTED, its work is told, and nothing is left behind: no timer, no listener.
import { describe, expect, test } from 'vitest'
import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/clock.ts'
import { Deferred } from './deferred.ts'
import { onAbort } from './abort-listeners.ts'
import { hasLimits, limitCall, passOn, stopWaitingWhile } from './call-limits.ts'

/** A clock whose timers fire when the test says so. */
class HandClock implements Clock {
  readonly timers = new Set<() => void>()
  nowMs = systemClock.nowMs
  monotonicMs = systemClock.monotonicMs
  yieldNow = systemClock.yieldNow

  setTimer(_delayMs: number, fire: () => void): { cancel: () => void } {
    this.timers.add(fire)
    return { cancel: () => void this.timers.delete(fire) }
  }

  fire(): void {
    for (const timer of this.timers) timer()
  }
}

/** A signal that counts its listeners. */
function countedSignal(): { abort: AbortController; signal: AbortSignal; listeners: () => number; most: () => number } {
  const abort = new AbortController()
  const { signal } = abort
  let listeners = 0
  let most = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: unknown[]) => {
    most = Math.max(most, ++listeners)
    Reflect.apply(addEventListener, signal, args)
  }
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--
    Reflect.apply(removeEventListener, signal, args)
  }
  return { abort, signal, listeners: () => listeners, most: () => most }
}

describe('limitCall', () => {
  test('gives what the work gives, and leaves neither timer nor listener', async () => {
    const clock = new HandClock()
    const { signal, listeners } = countedSignal()
    expect(await limitCall('get', { signal, timeoutMs: 5 }, clock, async () => 7)).toBe(7)
    const failing = limitCall('get', { signal, timeoutMs: 5 }, clock, () => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
    const throwing = limitCall('get', { signal, timeoutMs: 5 }, clock, () => {
      throw new Error('at once')
    })
    await expect(throwing).rejects.toThrow('at once')
    expect([clock.timers.size, listeners()]).toEqual([0, 0])
  })

  test('ends at its time with ABORTED and the time, and tells the work', async () => {
    const clock = new HandClock()
    let told: unknown
    const call = limitCall('get', { timeoutMs: 250 }, clock, (signal) => {
      onAbort(signal, () => (told = signal.reason))
      return new Promise(() => {})
    })
    clock.fire()
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 250 } })
    expect(told).toMatchObject({ code: 'ABORTED', detail: { timeoutMs: 250 } })
    expect(clock.timers.size).toBe(0)
  })

  test('a signal that has fired already: nothing happens at all', async () => {
    const clock = new HandClock()
    let ran = false
    const call = limitCall('put', { signal: AbortSignal.abort(), timeoutMs: 5 }, clock, async () => void (ran = true))
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    expect([ran, clock.timers.size]).toEqual([false, 0])
  })

  test('work that ends by itself has the last word when it is passed on', async () => {
    const clock = new HandClock()
    const work = new Deferred<string>()
    const call = limitCall('clone', { timeoutMs: 5 }, clock, () => work.promise, passOn)
    clock.fire()
    work.resolve('done after all')
    expect(await call).toBe('done after all')
  })

  test('says what becomes of the work, and keeps the detail', async () => {
    const clock = new HandClock()
    const call = limitCall('put', { timeoutMs: 9 }, clock, () => new Promise(() => {}), stopWaitingWhile('it goes on', { taken: true }))
    clock.fire()
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', message: expect.stringContaining('it goes on'), detail: { timeoutMs: 9, taken: true } })
  })

  test('hasLimits', () => {
    expect([undefined, {}, { signal: undefined }].some((limits) => hasLimits(limits))).toBe(false)
    expect(hasLimits({ timeoutMs: 1 }) && hasLimits({ signal: new AbortController().signal })).toBe(true)
  })
})

describe('onAbort', () => {
  test('however many share a signal, it has one listener, and none in the end', () => {
    const { signal, listeners, most } = countedSignal()
    const removals = Array.from({ length: 1000 }, () => onAbort(signal, () => {}))
    expect([listeners(), most()]).toEqual([1, 1])
    for (const remove of removals) remove()
    for (const remove of removals) remove()
    expect(listeners()).toBe(0)
    onAbort(signal, () => {})()
    expect([listeners(), most()]).toEqual([0, 1])
  })

  test('calls each of them once, and not one that was taken off', () => {
    const { abort, signal } = countedSignal()
    const called: string[] = []
    onAbort(signal, () => called.push('a'))
    onAbort(signal, () => called.push('b'))()
    const off = onAbort(signal, () => called.push('c'))
    abort.abort()
    off()
    expect(called).toEqual(['a', 'c'])
  })
})
