import type { Clock } from '@moraine/base'

/** Why writes are held back. */
export type StallReason = 'memtables' | 'level0' | 'memory'

/** What writes that are held back wait for. Sizes in bytes. */
export type Stall =
  /** Full memtables wait for their flush: there may be `maxSealedMemtables` of them. */
  | {
      readonly reason: 'memtables'
      readonly sealedMemtables: number
      readonly maxSealedMemtables: number
      readonly memtableBytes: number
    }
  /** Level 0 has too many tables: compaction has to bring them below `level0StopTrigger`. */
  | {
      readonly reason: 'level0'
      readonly tables: number
      readonly level0StopTrigger: number
      readonly sizeBytes: number
    }
  /** The memtables of all databases of the memory budget fill their share of it: one of them has to be flushed. */
  | {
      readonly reason: 'memory'
      readonly usedBytes: number
      readonly limitBytes: number
      /** Of `usedBytes`, what is this database's. */
      readonly memtableBytes: number
    }

/** Writes go on after a stall. */
export interface Resume {
  readonly reason: StallReason
  readonly durationMs: number
  /** Writes that were held back when it ended, and go on now. */
  readonly heldWrites: number
}

/** Stalls since opening. */
export interface StallStats {
  readonly stalls: number
  readonly stallsByReason: Readonly<Record<StallReason, number>>
  /** Time in stalls, the present one included. */
  readonly stalledMs: number
  /** The stall that writes are in now. */
  readonly stalledBy: StallReason | undefined
}

export interface StallsOptions {
  readonly clock: Clock
  readonly onStall: (stall: Stall) => void
  readonly onResume: (resume: Resume) => void
}

/** Whether writes are held back, why, and since when. */
export class Stalls {
  readonly #options: StallsOptions
  readonly #byReason: Record<StallReason, number> = { memtables: 0, level0: 0, memory: 0 }
  #reason: StallReason | undefined
  #sinceMs = 0
  #endedMs = 0

  constructor(options: StallsOptions) {
    this.#options = options
  }

  get reason(): StallReason | undefined {
    return this.#reason
  }

  /** From now on writes wait for this, or (undefined) for nothing; `heldWrites` of them wait at the moment. */
  change(stall: Stall | undefined, heldWrites: number): void {
    const { clock, onStall, onResume } = this.#options
    const before = this.#reason
    if (stall?.reason === before) return
    const nowMs = clock.monotonicMs()
    const durationMs = nowMs - this.#sinceMs
    this.#reason = stall?.reason
    this.#sinceMs = nowMs
    if (stall !== undefined) this.#byReason[stall.reason]++
    if (before !== undefined) {
      this.#endedMs += durationMs
      onResume({ reason: before, durationMs, heldWrites })
    }
    // A listener may have written, and changed it once more.
    if (stall !== undefined && this.#reason === stall.reason) onStall(stall)
  }

  stats(): StallStats {
    const { memtables, level0, memory } = this.#byReason
    const presentMs = this.#reason === undefined ? 0 : this.#options.clock.monotonicMs() - this.#sinceMs
    return {
      stalls: memtables + level0 + memory,
      stallsByReason: { memtables, level0, memory },
      stalledMs: this.#endedMs + presentMs,
      stalledBy: this.#reason,
    }
  }
}
