import { abortError, Deferred, MoraineError, onAbort } from '@moraine/base'
import { type ObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'

/** Where a process dies: at its `call`-th store call (the first is 1), before the call takes effect or after it. */
export interface Cut {
  readonly call: number
  readonly when: 'before' | 'after'
}

/**
 * A store as a process sees it that is cut off at one exact call: that call and all later ones get no answer, and
 * nothing but the one call (when cut `after`) still happens. What was cut off can be closed after `bury`.
 */
export class CutObjectStore extends WrappedObjectStore {
  /** What was asked so far, as `operation key`. */
  readonly calls: string[] = []
  readonly #cut: Cut | undefined
  readonly #reached = new Deferred<void>()
  readonly #buried = new Deferred<never>()
  #gone = false

  constructor(inner: ObjectStore, cut?: Cut) {
    super(inner)
    this.#cut = cut
    this.#buried.promise.catch(() => {})
  }

  /** Resolves when the process has been cut off. */
  get reached(): Promise<void> {
    return this.#reached.promise
  }

  get wasCut(): boolean {
    return this.#gone
  }

  /** From now on every call fails at once, also those that wait for an answer: nothing hangs on to the process. */
  bury(): void {
    this.#gone = true
    this.#buried.reject(new MoraineError('ABORTED', 'the process is gone'))
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    if (this.#gone) return await this.#noAnswer(call)
    this.calls.push(`${call.operation} ${call.key}`)
    if (this.calls.length !== this.#cut?.call) {
      const result = await run()
      return this.#gone ? await this.#noAnswer(call) : result
    }
    this.#gone = true
    if (this.#cut.when === 'after') await run().catch(() => {})
    this.#reached.resolve()
    return await this.#noAnswer(call)
  }

  #noAnswer({ signal }: StoreCall): Promise<never> {
    return new Promise((_, reject) => {
      if (signal?.aborted === true) reject(abortError(signal))
      else if (signal !== undefined) onAbort(signal, () => reject(abortError(signal)))
      this.#buried.promise.catch(reject)
    })
  }
}
