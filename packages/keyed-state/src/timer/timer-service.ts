import { type Clock, MoraineError, SerialQueue, timeSlices, type Timer as ClockTimer } from '@moraine/base'
import { decodeNamespace } from '../codec/namespace-codec.ts'
import { encodeFloat64 } from '../codec/number-codecs.ts'
import { namespaceBytes } from '../state/key-space.ts'
import { isInside, OperationContext } from '../state/operation-context.ts'
import type { StateHost } from '../state/state-host.ts'
import { groupOf, HEAD_BYTES, parseTimerKey, timerKey, TimerStateId } from '../state-key/state-key.ts'
import { type ScanTimers, timeOf } from './group-timers.ts'
import { checkTime, checkTimer, type Timer, type TimerDomain, type TimerHandler } from './timer.ts'
import { TimerQueue } from './timer-queue.ts'

const DONE: Promise<void> = Promise.resolve()
const EMPTY = new Uint8Array(0)
const MOST_DELAY_MS = 60_000
/** So much later than its time a processing timer may be registered. */
const MOST_LATE_MS = 60_000

/** Which domains have ever had a timer: what a checkpoint knows of timers without looking. */
export interface StoredTimers {
  readonly event: boolean
  readonly processing: boolean
}

export interface TimerServiceOptions {
  readonly clock: Clock
  /** How long the clock of processing time may stand still or jump before somebody looks, milliseconds. */
  readonly mostDelayMs?: number | undefined
  readonly stored: StoredTimers
  /** What a handler that nobody waits for failed with. */
  readonly onError: (error: unknown) => void
}

/**
 * The timers of a backend. They stand in the database, ordered by time within each key group; in memory are the earliest of
 * each group. They fire one after another, in the order of time, then of encoded key and namespace, over all groups.
 *
 * A timer is taken out right before its handler runs, and put back when the handler fails, so that it fires again with the
 * next advance. One that is registered for a time that has passed fires with the next advance, or with the one under way.
 */
export class TimerService<Key> {
  readonly #host: StateHost<Key>
  readonly #options: TimerServiceOptions
  readonly #queues: Readonly<Record<TimerDomain, TimerQueue>>
  readonly #turns = new SerialQueue()
  readonly #used: { event: boolean; processing: boolean }
  #handler: TimerHandler<Key> | undefined
  /** The timer whose handler runs, if one does. */
  #firing: { readonly domain: TimerDomain; readonly time: number; readonly context: OperationContext } | undefined
  #alarm: ClockTimer | undefined
  #alarmAt = Number.POSITIVE_INFINITY
  #stopped = new AbortController()

  constructor(host: StateHost<Key>, options: TimerServiceOptions) {
    this.#host = host
    this.#options = options
    this.#used = { ...options.stored }
    this.#queues = {
      event: new TimerQueue(TimerStateId.event, host.keys.groups, !options.stored.event),
      processing: new TimerQueue(TimerStateId.processing, host.keys.groups, !options.stored.processing),
    }
  }

  /** Sets what timers fire into; due timers wait until there is something. */
  onTimer(handler: TimerHandler<Key>): void {
    if (typeof handler !== 'function') throw new MoraineError('INVALID', 'onTimer takes a function')
    this.#handler = handler
    if (this.#used.processing) this.#wakeAt(Number.NEGATIVE_INFINITY)
  }

  /**
   * Registers a timer; one that is there already stays. INVALID for a key that is not held here, and for a time in the past:
   *
   *   event        at or below the watermark
   *   processing   more than a minute before the backend's processing time. A little late is fine, and fires at the next advance:
   *                a clock goes on between the caller's look at it and the call, which may have waited for a checkpoint.
   *
   * In the handler of a timer, the present of its domain is the time of that timer: the watermark, or a clock after a longer
   * break, may be far ahead of what still has to fire. What is registered there for this time or later fires in its turn.
   */
  register(timer: Timer<Key>): Promise<void> {
    return this.#change('timers.register', timer, (group, key) => {
      this.#ensureNotPast(timer)
      this.#used[timer.domain] = true
      this.#host.writer.put(key, EMPTY)
      this.#queues[timer.domain].register(group, key)
      if (timer.domain === 'processing') this.#wakeAt(timer.time)
    })
  }

  /** Deletes a timer; deleting what is not there is fine. */
  delete(timer: Timer<Key>): Promise<void> {
    return this.#change('timers.delete', timer, (group, key) => {
      this.#host.writer.delete(key)
      this.#queues[timer.domain].delete(group, key)
    })
  }

  /** Moves the watermark and fires what is due; resolves when all handlers have ended. */
  advanceWatermark(ms: number): Promise<void> {
    return this.#advance('advanceWatermark', 'event', ms, () => this.#host.time.advanceWatermark(ms))
  }

  /** Fires what is due by the clock, or by `ms` when that is later; happens by itself as time goes by. */
  advanceProcessingTime(ms?: number): Promise<void> {
    const { time } = this.#host
    return this.#advance('advanceProcessingTime', 'processing', ms ?? Math.floor(time.processingMs), () => {
      if (ms !== undefined) time.advanceProcessing(ms)
    })
  }

  stored(): StoredTimers {
    return { ...this.#used }
  }

  /** No timer fires by itself from now on. */
  stop(): void {
    this.#alarm?.cancel()
    this.#stopped.abort()
  }

  #change(call: string, timer: Timer<Key>, change: (group: number, key: Uint8Array) => void): Promise<void> {
    const { gate } = this.#host
    try {
      checkTimer(call, timer)
      const { group, key } = this.#encode(timer)
      if (gate.isOpen) {
        change(group, key)
        return DONE
      }
      return new Promise((resolve, reject) => {
        // What waits at the gate runs in its turn, and what it throws must not reach whoever opens the gate.
        const run = (): void => {
          try {
            resolve(change(group, key))
          } catch (error) {
            reject(error)
          }
        }
        gate.enter({ run, fail: reject })
      })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #ensureNotPast({ time, domain }: Timer<Key>): void {
    const { watermark, processingMs } = this.#host.time
    const isPast = domain === 'event' ? watermark !== undefined && time <= watermark : time < processingMs - MOST_LATE_MS
    if (!isPast) return
    const firing = this.#firing
    const fires = firing !== undefined && firing.domain === domain && isInside(firing.context)
    if (fires && time >= firing.time) return
    const present = fires
      ? `this handler's timer is of ${firing.time}: register for that time or later`
      : domain === 'event'
        ? `the watermark is at ${watermark}: register for a later time, or treat what asks for the timer as late`
        : `the processing time is ${processingMs}: register for that time or later`
    throw new MoraineError('INVALID', `timers.register: ${domain} time ${time} is in the past; ${present}`, { detail: { domain, time } })
  }

  #advance(call: string, domain: TimerDomain, ms: number, move: () => void): Promise<void> {
    try {
      checkTime(call, ms)
      this.#host.gate.ensureOpen()
      this.#host.gate.ensureOutside(`${call}()`)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#turns.run(async () => {
      await this.#ensureHandler(call, domain, ms)
      await this.#host.gate.entered()
      move()
      await this.#fireDue(domain)
      if (domain === 'processing') this.#wakeAtHead()
    })
  }

  /** INVALID, before time has moved, when there is something to fire and nobody to fire it into. */
  async #ensureHandler(call: string, domain: TimerDomain, ms: number): Promise<void> {
    if (this.#handler !== undefined) return
    await this.#load(domain)
    const head = this.#queues[domain].peek()
    if (head === undefined || timeOf(head) > ms) return
    throw new MoraineError('INVALID', `${call}: timers are due, and there is no handler: set one with timers.onTimer first`)
  }

  async #fireDue(domain: TimerDomain): Promise<void> {
    const { time } = this.#host
    const queue = this.#queues[domain]
    const pause = timeSlices(this.#options.clock, this.#stopped.signal)
    // Processing time goes on while handlers run. What falls due meanwhile is for the next turn: handlers that are slower than
    // the period of their timers would never let a watermark have its own.
    const limit = domain === 'event' ? time.watermark : time.processingMs
    for (;;) {
      if (!queue.isKnown) await this.#load(domain)
      const head = queue.peek()
      if (head === undefined || limit === undefined || timeOf(head) > limit || this.#handler === undefined) return
      const firing = this.#host.gate.isOpen ? this.#fire(domain, head) : this.#fireAdmitted(domain, head)
      if (firing !== undefined) await firing
      const waiting = pause()
      if (waiting !== undefined) await waiting
    }
  }

  #fireAdmitted(domain: TimerDomain, key: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#host.gate.enter({
        run: () => {
          // A call that was admitted before may have taken it away.
          if (this.#queues[domain].peek() === key) resolve(this.#fire(domain, key))
          else resolve()
        },
        fail: reject,
      })
    })
  }

  /** Takes the earliest timer out and runs the handler; a promise when that is not over at once. */
  #fire(domain: TimerDomain, key: Uint8Array): Promise<void> | undefined {
    const { gate, writer } = this.#host
    const queue = this.#queues[domain]
    const timer = this.#decode(domain, key)
    const group = groupOf(key)
    gate.begin()
    writer.delete(key)
    queue.delete(group, key)
    const context = new OperationContext(gate, 'handler')
    this.#firing = { domain, time: timer.time, context }
    const end = (failed: boolean): void => {
      context.active = false
      this.#firing = undefined
      if (failed) {
        writer.put(key, EMPTY)
        queue.register(group, key)
      }
      gate.end()
    }
    let handled: void | Promise<void>
    try {
      handled = context.run(() => this.#handler?.(timer))
    } catch (error) {
      end(true)
      return Promise.reject(error)
    }
    if (handled === undefined) {
      end(false)
      return undefined
    }
    return Promise.resolve(handled).then(
      () => end(false),
      (error: unknown) => {
        end(true)
        throw error
      },
    )
  }

  #load(domain: TimerDomain): Promise<void> {
    const { db, writer } = this.#host
    const scan: ScanTimers = async (from, limit) => {
      await writer.flush()
      const found: Uint8Array[] = []
      // The end of the range is that of the group and domain which `from` is in.
      const prefix = from.slice(0, HEAD_BYTES)
      for await (const batch of db.scanBatches({ gte: from, lt: endOf(prefix), limit })) for (const [key] of batch) found.push(key)
      return found
    }
    return this.#queues[domain].load(scan)
  }

  /** Sees to it that processing timers are looked at when `timeMs` has come. */
  #wakeAt(timeMs: number): void {
    if (this.#handler === undefined || this.#stopped.signal.aborted) return
    if (this.#alarm !== undefined && this.#alarmAt <= timeMs) return
    this.#alarm?.cancel()
    this.#alarmAt = timeMs
    const most = this.#options.mostDelayMs ?? MOST_DELAY_MS
    const delayMs = Math.min(Math.max(timeMs - this.#host.time.processingMs, 0), most)
    this.#alarm = this.#options.clock.setTimer(delayMs, () => this.#wake(), { unref: true })
  }

  #wake(): void {
    this.#alarm = undefined
    this.#alarmAt = Number.POSITIVE_INFINITY
    const head = this.#queues.processing.isKnown ? this.#queues.processing.peek() : undefined
    // The clock may be slower than the alarm.
    if (head !== undefined && timeOf(head) > this.#host.time.processingMs) return this.#wakeAt(timeOf(head))
    this.advanceProcessingTime().catch((error: unknown) => {
      if (this.#stopped.signal.aborted || this.#host.gate.failure !== undefined) return
      this.#options.onError(error)
      this.#wakeAt(this.#host.time.processingMs + RETRY_MS)
    })
  }

  #wakeAtHead(): void {
    const head = this.#queues.processing.peek()
    if (head !== undefined) this.#wakeAt(timeOf(head))
  }

  #encode({ key, namespace, time, domain }: Timer<Key>): { group: number; key: Uint8Array } {
    const { group, bytes } = this.#host.keys.place(key)
    return { group, key: timerKey(group, TimerStateId[domain], encodeFloat64(time), bytes, namespaceBytes(namespace)) }
  }

  #decode(domain: TimerDomain, bytes: Uint8Array): Timer<Key> {
    const { key, namespace } = parseTimerKey(bytes)
    const { codec } = this.#host.keys
    return { key: codec.decode(key, codec.version), namespace: decodeNamespace(namespace), time: timeOf(bytes), domain }
  }
}

/** A failed handler that nobody waits for is tried again after this long. */
const RETRY_MS = 1_000

/** The first key behind all that begin with a prefix of a group and a timer state, whose last byte is small. */
function endOf(prefix: Uint8Array): Uint8Array {
  const end = prefix.slice()
  end[end.length - 1] = (end.at(-1) as number) + 1
  return end
}
