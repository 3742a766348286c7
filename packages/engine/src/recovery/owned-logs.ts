import type { Manifest, WalEpoch } from '../manifest/manifest.ts'
import type { EngineLog } from './engine-log.ts'

export interface OwnedLogsOptions {
  /** The owner's log; undefined with `wal: 'none'`. */
  readonly log: EngineLog | undefined
  /** The last sequence number that was replayed at the opening. */
  readonly replayedSeq: number
  /** Deletes the logs of owners before, once everything that was replayed from them is in the store. */
  readonly forgetReplayed: () => Promise<void>
}

/** The logs that an owner answers for: its own, and until they are flushed those that it replayed. */
export class OwnedLogs {
  readonly log: EngineLog | undefined
  readonly #replayedSeq: number
  /** Until it has run. */
  #forgetReplayed: (() => Promise<void>) | undefined

  constructor({ log, replayedSeq, forgetReplayed }: OwnedLogsOptions) {
    this.log = log
    this.#replayedSeq = replayedSeq
    this.#forgetReplayed = forgetReplayed
  }

  /** The logs in the store that hold anything above `flushedSeq`, or are going to. A released database has none. */
  epochs(current: Manifest, flushedSeq: number, released: boolean): readonly WalEpoch[] {
    if (released) return []
    const own = this.log?.position(flushedSeq)
    const others = flushedSeq >= this.#replayedSeq ? [] : current.walEpochs.filter(({ epoch }) => epoch !== own?.epoch)
    return own === undefined ? others : [...others, own]
  }

  /**
   * Everything up to this sequence number is in the store. A segment that cannot be deleted is replayed as already flushed:
   * untidy, not unsafe.
   */
  async release(flushedSeq: number): Promise<void> {
    await this.log?.release(flushedSeq)
    if (flushedSeq >= this.#replayedSeq) await this.#forget()
  }

  /**
   * A log whose every write is in the store goes with the owner that wrote it: left behind, it would be refused as a log
   * with unflushed writes once the database has been opened from another folder.
   * @param flushedSeq everything there is; undefined when something is left, or the database is not given back
   */
  async close(flushedSeq: () => number | undefined): Promise<void> {
    if (this.log === undefined) return
    await this.log.close()
    const flushed = flushedSeq()
    if (flushed === undefined) return
    await this.log.release(flushed)
    await this.#forget()
  }

  async #forget(): Promise<void> {
    const forget = this.#forgetReplayed
    this.#forgetReplayed = undefined
    await forget?.()
  }
}
