import { ByteWriter, Deferred } from '@moraine/base'
import type { WriteLog } from './write-log.ts'

/** A group that is still open takes no more writes once its payload has this size. */
const GROUP_LIMIT_BYTES = 4 * 1024 * 1024

/** A payload buffer above this size is not kept for the next group. */
const REUSABLE_BUFFER_BYTES = 8 * 1024 * 1024

/** Writes that share one append of the log and one acknowledgement. */
export interface WriteGroup {
  readonly payload: ByteWriter
  readonly firstSeq: number
  count: number
  readonly acknowledged: Deferred<void>
}

/**
 * Group commit: writes that arrive while the log is busy are gathered, and go out as one record when it is free. Every
 * write of a group waits for the same promise, so a write costs no promise of its own. A pipelined log is never busy: it
 * gets a group each turn and gathers them itself.
 */
export class GroupCommitter {
  readonly #log: WriteLog
  readonly #onFailed: (error: unknown) => void
  readonly #waiting: WriteGroup[] = []
  readonly #spareBuffers: ByteWriter[] = []
  #draining: Promise<void> | undefined
  #lastCommit: Promise<void> = Promise.resolve()
  #rotate = false
  #failure: unknown

  constructor(log: WriteLog, onFailed: (error: unknown) => void) {
    this.#log = log
    this.#onFailed = onFailed
  }

  /**
   * The group that the write with sequence number `seq` joins; the caller adds its operation and raises `count`. Must be
   * called in the order of the sequence numbers.
   */
  join(seq: number): WriteGroup {
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.payload.length < GROUP_LIMIT_BYTES) return last
    const payload = this.#spareBuffers.pop() ?? new ByteWriter(16 * 1024)
    payload.clear()
    const group: WriteGroup = { payload, firstSeq: seq, count: 0, acknowledged: new Deferred<void>() }
    // A write acknowledged from memory has no one waiting for its group; the failure is reported by `onFailed`.
    group.acknowledged.promise.catch(() => {})
    this.#waiting.push(group)
    this.#draining ??= Promise.resolve().then(() => this.#drain())
    return group
  }

  /** The next group is preceded by a rotation of the log. */
  rotateBeforeNext(): void {
    this.#rotate = true
  }

  /** Fails every write that is not acknowledged yet, and every later one. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    for (const group of this.#waiting.splice(0)) group.acknowledged.reject(error)
  }

  /** Resolves when every group so far is acknowledged or failed. */
  async drained(): Promise<void> {
    await this.#draining
    await this.#lastCommit
  }

  async #drain(): Promise<void> {
    for (;;) {
      const group = this.#waiting.shift()
      if (group === undefined) break
      this.#lastCommit = this.#commit(group)
      if (!this.#log.pipelined) await this.#lastCommit
    }
    this.#draining = undefined
  }

  async #commit(group: WriteGroup): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#rotate && !this.#log.pipelined) {
        this.#rotate = false
        await this.#log.rotate()
      }
      await this.#log.append(group.firstSeq, group.count, [group.payload.view()])
      // A fence that was noticed while the log was busy forbids the acknowledgement.
      if (this.#failure !== undefined) throw this.#failure
    } catch (error) {
      group.acknowledged.reject(error)
      if (this.#failure === undefined) {
        this.fail(error)
        this.#onFailed(error)
      }
      return
    }
    if (group.payload.length <= REUSABLE_BUFFER_BYTES && this.#spareBuffers.length < 2) {
      this.#spareBuffers.push(group.payload)
    }
    group.acknowledged.resolve()
  }
}
