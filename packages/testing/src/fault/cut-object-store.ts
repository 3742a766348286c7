import { abortError } from '@moraine/base'
import { type ObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'

/** Where a process dies: at its `call`-th store call (the first is 1), before the call takes effect or after it. */
export interface Cut {
  readonly call: number
  readonly when: 'before' | 'after'
}

/**
 * A store as a process sees it that is cut off at one exact call: that call and all later ones get no answer, and
 * nothing but the one call (when cut `after`) still happens. Calls whose signal fires end, so that a test can close
 * what it cut off.
 */
export class CutObjectStore extends WrappedObjectStore {
  /** What was asked so far, as `operation key`. */
  readonly calls: string[] = []
  readonly #cut: Cut | undefined
  readonly #reached: Promise<void>
  #markReached!: () => void
  #gone = false

  constructor(inner: ObjectStore, cut?: Cut) {
    super(inner)
    this.#cut = cut
    this.#reached = new Promise((resolve) => {
      this.#markReached = resolve
    })
  }

  /** Resolves when the process has been cut off. */
  get reached(): Promise<void> {
    return this.#reached
  }

  get wasCut(): boolean {
    return this.#gone
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    if (this.#gone) return await noAnswer(call)
    this.calls.push(`${call.operation} ${call.key}`)
    if (this.calls.length !== this.#cut?.call) {
      const result = await run()
      return this.#gone ? await noAnswer(call) : result
    }
    this.#gone = true
    if (this.#cut.when === 'after') await run().catch(() => {})
    this.#markReached()
    return await noAnswer(call)
  }
}

function noAnswer({ signal }: StoreCall): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted === true) reject(abortError(signal))
    else signal?.addEventListener('abort', () => reject(abortError(signal)), { once: true })
  })
}
