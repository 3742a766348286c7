import { type CallLimits, type Clock, limitCall } from '@moraine/base'
import type { Entry } from '../read/scan-cursor.ts'
import type { BatchSource } from './scan-stream.ts'

/** A scan each of whose steps has the limits of the call. At one of them it ends, and gives back what it holds. */
export class LimitedScan implements BatchSource {
  readonly #scan: BatchSource
  readonly #limits: CallLimits
  readonly #clock: Clock

  constructor(scan: BatchSource, limits: CallLimits, clock: Clock) {
    this.#scan = scan
    this.#limits = limits
    this.#clock = clock
  }

  async nextBatch(maxEntries: number, maxBytes: number): Promise<Entry[]> {
    try {
      return await limitCall('scan', this.#limits, this.#clock, () => this.#scan.nextBatch(maxEntries, maxBytes))
    } catch (error) {
      this.#scan.close()
      throw error
    }
  }

  close(): void {
    this.#scan.close()
  }
}
