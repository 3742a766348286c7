/**
 * What a transaction's `scan` and `scanBatches` give: tells the transaction of every step that it hands out, and ends with
 * the transaction.
 */
export class TransactionStream<Item> implements AsyncIterableIterator<Item, undefined, undefined> {
  readonly #inner: AsyncIterableIterator<Item, undefined, undefined>
  readonly #observer: StreamObserver<Item>

  /** Made by a transaction. */
  constructor(inner: AsyncIterableIterator<Item, undefined, undefined>, observer: StreamObserver<Item>) {
    this.#inner = inner
    this.#observer = observer
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Item, undefined>> {
    this.#observer.ensureOpen()
    const step = await this.#inner.next()
    this.#observer.ensureOpen()
    if (step.done === true) this.#observer.ended()
    else this.#observer.delivered(step.value)
    return step
  }

  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#observer.closed()
    await this.#inner.return?.()
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}

export interface StreamObserver<Item> {
  /** Throws once the transaction has ended. */
  ensureOpen(): void
  delivered(item: Item): void
  /** Nothing more is there. */
  ended(): void
  /** The caller wants no more. */
  closed(): void
}
