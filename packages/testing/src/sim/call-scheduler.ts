import { systemClock } from '@moraine/base'
import { type ObjectStore, type StoreCall, type StoreOperation, WrappedObjectStore } from '@moraine/object-store'

/** A store call that stands at the door and has not happened yet. */
export interface WaitingCall {
  /** Whose call it is: the name given to `storeFor`. */
  readonly who: string
  readonly operation: StoreOperation
  readonly key: string
}

interface ParkedCall extends WaitingCall {
  readonly admit: () => void
}

/**
 * Decides in which order the store calls of several processes happen. Each process gets a store of its own name; its
 * calls wait until `step` lets one happen. A call takes effect in one moment and everything between two calls of a
 * process is its own, so the orders of calls are all the histories there are.
 */
export class CallScheduler {
  readonly #inner: ObjectStore
  #parked: ParkedCall[] = []
  #free = false

  constructor(inner: ObjectStore) {
    this.#inner = inner
  }

  storeFor(who: string): ObjectStore {
    return new ScheduledStore(this.#inner, (call) => this.#park(who, call))
  }

  /** The calls that wait, once every process has come to rest; in the order of their processes' names. */
  async waiting(): Promise<readonly WaitingCall[]> {
    for (let turn = 0; turn < 3; turn++) await systemClock.yieldNow()
    this.#parked.sort((a, b) => (a.who < b.who ? -1 : a.who > b.who ? 1 : 0))
    return this.#parked
  }

  /** Lets a call of the last `waiting()` happen. */
  step(index: number): void {
    const [call] = this.#parked.splice(index, 1)
    if (call === undefined) throw new Error(`no call ${index} is waiting`)
    call.admit()
  }

  /** Lets everything happen at once, now and from now on. */
  release(): void {
    this.#free = true
    for (const call of this.#parked.splice(0)) call.admit()
  }

  #park(who: string, call: StoreCall): Promise<void> {
    if (this.#free) return Promise.resolve()
    return new Promise((admit) => {
      this.#parked.push({ who, operation: call.operation, key: call.key, admit })
    })
  }
}

class ScheduledStore extends WrappedObjectStore {
  readonly #park: (call: StoreCall) => Promise<void>

  constructor(inner: ObjectStore, park: (call: StoreCall) => Promise<void>) {
    super(inner)
    this.#park = park
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    await this.#park(call)
    return await run()
  }
}
