import { MoraineError, onAbort } from '@moraine/base'
import { type StoreCall, WrappedObjectStore } from '@moraine/object-store'

/**
 * A store as one process sees it: `kill` cuts the process off. Calls after that, and answers of calls under way, never
 * come: exactly what a process that is gone would see, so whatever runs on in it can no longer do anything. A call whose
 * signal fires still ends, so that an engine cut off from its store can be closed by a test.
 */
export class MortalObjectStore extends WrappedObjectStore {
  #dead = false

  kill(): void {
    this.#dead = true
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  protected override around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal } = call
      const gone = (): void => reject(new MoraineError('ABORTED', 'the process was killed'))
      const unlisten = signal && onAbort(signal, gone)
      if (this.#dead) return
      const settled = (settle: () => void): void => {
        if (this.#dead) return
        unlisten?.()
        settle()
      }
      run().then(
        (result) => settled(() => resolve(result)),
        (error: unknown) => settled(() => reject(error)),
      )
    })
  }
}
