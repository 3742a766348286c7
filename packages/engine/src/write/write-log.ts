/** What the write path needs of a log, wherever it is kept. `LocalWalWriter` is one. */
export interface WriteLog {
  /**
   * Appends may be made without waiting for the one before; they are acknowledged in their order. Otherwise they come
   * one at a time.
   */
  readonly pipelined: boolean
  /** An acknowledged append survives the loss of this machine: it is in the store. */
  readonly inStore: boolean
  /** Appends one group of writes; resolves when it is acknowledged. The payload does not change before that. */
  append(firstSeq: number, count: number, payload: readonly Uint8Array[]): Promise<void>
  /** A memtable was sealed: what follows goes to a new segment, so that the old one can be deleted after the flush. */
  rotate(): Promise<void>
  /** Everything up to this sequence number is in the store: the log may forget it. */
  release(flushedSeq: number): Promise<void>
  /** Ends what is under way: whatever is not acknowledged fails with `error`. */
  abandon(error: unknown): void
  close(): Promise<void>
}
