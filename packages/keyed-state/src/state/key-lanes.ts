import { MoraineError } from '@moraine/base'
import { describe } from '../codec/codec.ts'
import type { Gate } from './gate.ts'
import type { KeySpace } from './key-space.ts'
import { currentContext, type Holdable, inPresentContext, OperationContext, wouldWaitForItself } from './operation-context.ts'

/** The handlers of one key: one runs, the others wait in their order. */
interface Lane extends Holdable {
  readonly token: unknown
  readonly waiting: (() => void)[]
}

/**
 * Runs handlers of many keys at a time and those of one key one after another, in the order in which they were given. At
 * most so many run at once; the others wait. A checkpoint has the effects of all that were given before it.
 */
export class KeyLanes<Key> {
  readonly #gate: Gate
  readonly #keys: KeySpace<Key>
  readonly #most: number
  readonly #lanes = new Map<unknown, Lane>()
  readonly #ready: (() => void)[] = []
  #running = 0

  constructor(gate: Gate, keys: KeySpace<Key>, most: number) {
    this.#gate = gate
    this.#keys = keys
    this.#most = most
  }

  get most(): number {
    return this.#most
  }

  run<R>(key: Key, handler: () => R | Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#gate.enter({
        run: () => {
          try {
            this.#keys.place(key)
            this.#admit(key, () => this.#handle(key, handler).then(resolve, reject))
          } catch (error) {
            reject(error)
          }
        },
        fail: reject,
      })
    })
  }

  #admit(key: Key, start: () => void): void {
    const token = this.#keys.token(key)
    const lane = this.#lanes.get(token)
    if (lane === undefined) {
      this.#gate.begin()
      this.#lanes.set(token, { token, waiting: [], holder: undefined })
      this.#whenSlot(start)
      return
    }
    if (wouldWaitForItself(currentContext(this.#gate), lane)) {
      throw new MoraineError('INVALID', `process() of key ${describe(key)} inside a handler of the same key would wait for itself`)
    }
    this.#gate.begin()
    lane.waiting.push(inPresentContext(start))
  }

  /** A handler inside a handler needs no place of its own: waiting for one could wait for itself. */
  #whenSlot(start: () => void): void {
    if (this.#running < this.#most || currentContext(this.#gate) !== undefined) start()
    else this.#ready.push(inPresentContext(start))
  }

  async #handle<R>(key: Key, handler: () => R | Promise<R>): Promise<R> {
    const lane = this.#lanes.get(this.#keys.token(key)) as Lane
    const context = new OperationContext(this.#gate, 'handler')
    lane.holder = context
    this.#running++
    try {
      return await context.run(handler)
    } finally {
      context.active = false
      lane.holder = undefined
      this.#running--
      const next = lane.waiting.shift()
      if (next === undefined) this.#lanes.delete(lane.token)
      else this.#ready.push(next)
      while (this.#ready.length > 0 && this.#running < this.#most) this.#ready.shift()?.()
      this.#gate.end()
    }
  }
}
