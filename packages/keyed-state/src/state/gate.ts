import { Deferred, MoraineError } from '@moraine/base'
import { currentContext } from './operation-context.ts'

/** A call that waits: exactly one of the two is called, once. */
export interface Waiting {
  run(): void
  fail(error: unknown): void
}

/** What is to be done while nothing moves. */
interface StandStill extends Waiting {
  readonly stands: true
}

/**
 * Admission to a backend. Usually open, and then one look at `isOpen` is all that a call does with it. A checkpoint closes
 * it: calls from outside wait in their order, calls of handlers that are under way still pass, and when nothing is under way
 * any more the state stands still for a moment. So a checkpoint has the calls that were made before it, and no others.
 */
export class Gate {
  isOpen = true
  /** Functions of the caller that run this very moment, one inside another. */
  running = 0
  #inFlight = 0
  #queue: (Waiting | StandStill)[] = []
  #idle: Deferred<void> | undefined
  #failure: unknown

  /** Calls under way that wait for something. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** What every call fails with; undefined while the backend lives. */
  get failure(): unknown {
    return this.#failure
  }

  /** Runs a call as soon as it is admitted: at once, unless the gate is closed to the caller. */
  enter(call: Waiting): void {
    if (this.#failure !== undefined) call.fail(this.#failure)
    else if (this.isOpen || currentContext(this) !== undefined) call.run()
    else this.#queue.push(call)
  }

  /** Like `enter`, for a call that waits by itself. */
  entered(): Promise<void> {
    return new Promise((resolve, reject) => this.enter({ run: resolve, fail: reject }))
  }

  /** A call that may wait has been admitted; `end` follows. */
  begin(): void {
    this.#inFlight++
  }

  end(): void {
    if (--this.#inFlight === 0) this.#idle?.resolve()
  }

  /**
   * Closes, and runs `still` when nothing is under way and `ready` has nothing to wait for: at once if that is so already.
   * Then lets the calls that waited run, in their order, before any new one.
   */
  standStill<R>(still: () => R, ready: () => Promise<void> | undefined): Promise<R> {
    return new Promise((resolve, reject) => {
      const stand: StandStill = {
        stands: true,
        run: () => {
          this.isOpen = false
          this.#still(still, ready).then(resolve, reject)
        },
        fail: reject,
      }
      if (this.#failure !== undefined) reject(this.#failure)
      else if (this.isOpen) stand.run()
      else this.#queue.push(stand)
    })
  }

  /** Closes for good: everything waiting and everything later fails. */
  close(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.isOpen = false
    for (const call of this.#queue.splice(0)) call.fail(error)
    this.#idle?.resolve()
  }

  ensureOpen(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** INVALID when the caller is inside a handler or an update, which `call` would wait for. */
  ensureOutside(call: string): void {
    if (this.running === 0 && currentContext(this) === undefined) return
    throw new MoraineError('INVALID', `${call} inside a handler or an update() would wait for itself: call it from outside`)
  }

  async #still<R>(still: () => R, ready: () => Promise<void> | undefined): Promise<R> {
    try {
      for (;;) {
        if (this.#inFlight > 0) {
          this.#idle = new Deferred()
          await this.#idle.promise
        } else {
          const waiting = ready()
          if (waiting === undefined) break
          await waiting
        }
        this.ensureOpen()
      }
      return still()
    } finally {
      this.#idle = undefined
      this.#reopen()
    }
  }

  #reopen(): void {
    if (this.#failure !== undefined) return
    for (let call = this.#queue.shift(); call !== undefined; call = this.#queue.shift()) {
      call.run()
      if ('stands' in call) return
    }
    this.isOpen = true
  }
}

/** The error of calls on a backend that was closed. */
export function closedError(): MoraineError {
  return new MoraineError('CLOSED', 'the keyed state backend is closed: open it again')
}
