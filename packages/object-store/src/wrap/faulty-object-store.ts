import { abortError, type Clock, MoraineError, onAbort, sleep, unreachable } from '@moraine/base'
import type { ObjectStore } from '../object-store.ts'
import { type StoreCall, type StoreOperation, WrappedObjectStore } from './wrapped-object-store.ts'

/** What goes wrong with one call. `error` is what the caller sees, by default a 503 or a lost connection. */
export type StoreFault =
  /** The call never reaches the store. */
  | { readonly kind: 'fail'; readonly error?: MoraineError | undefined }
  /** The call happens, its answer is lost. */
  | { readonly kind: 'loseReply'; readonly error?: MoraineError | undefined }
  /** The caller gets an error now; the call happens `delayMs` later, or when `until` resolves. */
  | { readonly kind: 'applyLater'; readonly delayMs?: number; readonly until?: Promise<unknown>; readonly error?: MoraineError | undefined }
  /** The connection ends in the middle of the body that is read. */
  | { readonly kind: 'cutBody' }
  /** The call happens late, by `delayMs` or when `until` resolves. The caller waits, or aborts. */
  | { readonly kind: 'delay'; readonly delayMs?: number; readonly until?: Promise<unknown> }

/**
 * Says what goes wrong with a call; undefined for nothing. `n` counts the earlier calls of the same operation and key
 * (prefix of a list, first key of a deleteMany).
 */
export type FaultPlan = (operation: StoreOperation, key: string, n: number) => StoreFault | undefined

/** A store on which calls fail as a script says: the ways in which buckets fail, on demand and repeatable. */
export class FaultyObjectStore extends WrappedObjectStore {
  readonly #clock: Clock
  readonly #calls = new Map<string, number>()
  readonly #late = new Set<Promise<unknown>>()
  /** May be exchanged at any time. */
  plan: FaultPlan

  constructor(inner: ObjectStore, plan: FaultPlan, options: { readonly clock: Clock }) {
    super(inner)
    this.plan = plan
    this.#clock = options.clock
  }

  /** Resolves when every call that was to happen later has happened. */
  async lateCallsDone(): Promise<void> {
    while (this.#late.size > 0) await Promise.allSettled(this.#late)
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    if (call.signal?.aborted === true) throw abortError(call.signal)
    const name = `${call.operation} ${call.key}`
    const n = this.#calls.get(name) ?? 0
    this.#calls.set(name, n + 1)
    const fault = this.plan(call.operation, call.key, n)
    switch (fault?.kind) {
      case undefined:
        return await run()
      case 'fail':
        throw fault.error ?? slowDownError()
      case 'loseReply':
        await run()
        throw fault.error ?? lostConnectionError()
      case 'applyLater':
        this.#applyLater(fault, run)
        throw fault.error ?? lostConnectionError()
      case 'cutBody':
        await run()
        throw lostConnectionError()
      case 'delay':
        await this.#wait(fault, call.signal)
        return await run()
      default:
        return unreachable(fault)
    }
  }

  #applyLater(fault: { delayMs?: number; until?: Promise<unknown> }, run: () => Promise<unknown>): void {
    const late = this.#wait(fault, undefined)
      .then(run)
      .catch(() => {})
      .finally(() => this.#late.delete(late))
    this.#late.add(late)
  }

  async #wait(fault: { delayMs?: number; until?: Promise<unknown> }, signal: AbortSignal | undefined): Promise<void> {
    if (fault.until !== undefined) await abortable(fault.until, signal)
    if (fault.delayMs !== undefined) await sleep(this.#clock, fault.delayMs, signal)
  }
}

/** The 503 of a server that is asked too much. */
export function slowDownError(): MoraineError {
  return new MoraineError('UNAVAILABLE', 'injected fault: 503 SlowDown', {
    detail: { retryable: true, ambiguous: true, status: 503, s3Code: 'SlowDown' },
  })
}

/** The 409 of a conditional write that met another one. */
export function conflictError(): MoraineError {
  return new MoraineError('UNAVAILABLE', 'injected fault: 409 ConditionalRequestConflict', {
    detail: { retryable: true, ambiguous: true, status: 409, s3Code: 'ConditionalRequestConflict' },
  })
}

/** A connection that ended before the answer. */
export function lostConnectionError(): MoraineError {
  return new MoraineError('UNAVAILABLE', 'injected fault: the connection was lost', {
    detail: { retryable: true, ambiguous: true },
  })
}

async function abortable(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await wait
    return
  }
  let unlisten!: () => void
  const aborted = new Promise<never>((_, reject) => {
    unlisten = onAbort(signal, () => reject(abortError(signal)))
  })
  try {
    await Promise.race([wait, aborted])
  } finally {
    unlisten()
  }
}
