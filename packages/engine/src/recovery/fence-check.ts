import { isMoraineError, type Timer } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import type { VersionSet } from '../manifest/version-set.ts'
import type { EngineSettings } from './engine-settings.ts'

export interface FenceCheckOptions {
  readonly versions: VersionSet
  readonly settings: EngineSettings
  /** Sequence number of the newest write. */
  readonly lastSeq: () => number
  readonly isOpen: () => boolean
  /** The database belongs to another process now. */
  readonly onFenced: (error: unknown) => void
  /** The store could not be asked; it is asked again at the next turn. */
  readonly onRetry: (error: unknown) => void
  readonly account: RequestAccount
  readonly signal: AbortSignal
}

/** While there are new acknowledged writes that are not flushed, looks from time to time whether they still count. */
export class FenceCheck {
  readonly #options: FenceCheckOptions
  #timer: Timer | undefined
  #checkedSeq: number

  constructor(options: FenceCheckOptions) {
    this.#options = options
    this.#checkedSeq = options.lastSeq()
    if (options.settings.fenceCheckIntervalMs > 0) this.#arm()
  }

  cancel(): void {
    this.#timer?.cancel()
  }

  #arm(): void {
    const { clock, fenceCheckIntervalMs } = this.#options.settings
    this.#timer = clock.setTimer(
      fenceCheckIntervalMs,
      () => {
        void this.#check().finally(() => {
          if (this.#options.isOpen()) this.#arm()
        })
      },
      { unref: true },
    )
  }

  async #check(): Promise<void> {
    const { versions, isOpen, onFenced, onRetry, account, signal } = this.#options
    const lastSeq = this.#options.lastSeq()
    if (!isOpen() || lastSeq === this.#checkedSeq || lastSeq <= versions.current.flushedSeq) return
    try {
      await versions.verifyOwnership(signal, account)
      this.#checkedSeq = lastSeq
    } catch (error) {
      if (isMoraineError(error, 'FENCED')) onFenced(error)
      else if (isOpen()) onRetry(error)
    }
  }
}
