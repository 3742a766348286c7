/** Runs asynchronous tasks one after another, in the order they were given; a failed task does not stop the next. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve()
  #pending = 0

  get pending(): number {
    return this.#pending
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    this.#pending++
    const result = this.#tail.then(task)
    this.#tail = result.then(
      () => this.#pending--,
      () => this.#pending--,
    )
    return result
  }

  /** Resolves when every task given so far has ended. */
  async drained(): Promise<void> {
    await this.#tail
  }
}
