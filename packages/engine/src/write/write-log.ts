/** What the write path needs of a log, wherever it is kept. `LocalWalWriter` is one. */
export interface WriteLog {
  /** Appends one group of writes; resolves when it is acknowledged. Called one at a time. */
  append(firstSeq: number, count: number, payload: readonly Uint8Array[]): Promise<void>
  /** A memtable was sealed: what follows goes to a new segment, so that the old one can be deleted after the flush. */
  rotate(): Promise<void>
  /** Everything up to this sequence number is in the store: the log may forget it. */
  release(flushedSeq: number): Promise<void>
  close(): Promise<void>
}
