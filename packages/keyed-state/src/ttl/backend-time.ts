import type { TtlOption } from '../descriptor/descriptor.ts'

/** An entry without an end. */
export const NEVER: number = Number.POSITIVE_INFINITY
/** Written before there was any watermark: its life begins with the first one. */
export const FROM_FIRST_WATERMARK: number = Number.NEGATIVE_INFINITY

/** Times as a checkpoint keeps them. Milliseconds. */
export interface StoredTime {
  readonly watermark?: number
  readonly firstWatermark?: number
  readonly processingMs?: number
}

/**
 * The two times of a backend. Neither ever goes back: not with the system's clock, and not with a restore, because what a
 * checkpoint knew of them is restored with it.
 */
export class BackendTime {
  readonly #now: () => number
  #processingMs: number
  #watermark: number | undefined
  #firstWatermark: number | undefined

  constructor(now: () => number, stored: StoredTime = {}) {
    this.#now = now
    this.#processingMs = stored.processingMs ?? Number.NEGATIVE_INFINITY
    this.#watermark = stored.watermark
    this.#firstWatermark = stored.firstWatermark
  }

  get watermark(): number | undefined {
    return this.#watermark
  }

  /** Milliseconds since the Unix epoch. */
  get processingMs(): number {
    const now = this.#now()
    if (now > this.#processingMs) this.#processingMs = now
    return this.#processingMs
  }

  /** Moves the watermark; one that is not newer changes nothing. */
  advanceWatermark(ms: number): void {
    this.#firstWatermark ??= ms
    if (this.#watermark === undefined || ms > this.#watermark) this.#watermark = ms
  }

  advanceProcessing(ms: number): void {
    if (ms > this.processingMs) this.#processingMs = ms
  }

  /** When what is written now expires. */
  expiryOf({ ms, time }: TtlOption): number {
    if (time !== 'event') return this.processingMs + ms
    return this.#watermark === undefined ? FROM_FIRST_WATERMARK : this.#watermark + ms
  }

  /** True from the very moment `expiresAt` on. `ttlMs` counts for entries that were written before the first watermark. */
  isExpired(expiresAt: number, eventTime: boolean, ttlMs: number): boolean {
    if (expiresAt === NEVER) return false
    if (!eventTime) return this.processingMs >= expiresAt
    const watermark = this.#watermark
    if (watermark === undefined) return false
    return watermark >= (expiresAt === FROM_FIRST_WATERMARK ? (this.#firstWatermark as number) + ttlMs : expiresAt)
  }

  stored(): StoredTime {
    const processingMs = this.processingMs
    return {
      ...(this.#watermark !== undefined && { watermark: this.#watermark }),
      ...(this.#firstWatermark !== undefined && { firstWatermark: this.#firstWatermark }),
      ...(Number.isFinite(processingMs) && { processingMs }),
    }
  }
}

/** The times of several databases as one: the earliest watermark, so that nothing counts as late that was not; the latest clock. */
export function uniteTimes(times: readonly StoredTime[]): StoredTime {
  const watermarks = times.map(({ watermark }) => watermark)
  const firsts = times.flatMap(({ firstWatermark }) => firstWatermark ?? [])
  const clocks = times.flatMap(({ processingMs }) => processingMs ?? [])
  const known = watermarks.every((watermark) => watermark !== undefined)
  return {
    ...(known && watermarks.length > 0 && { watermark: Math.min(...watermarks) }),
    ...(known && firsts.length > 0 && { firstWatermark: Math.min(...firsts) }),
    ...(clocks.length > 0 && { processingMs: Math.max(...clocks) }),
  }
}
